import { expect, test } from "vitest";
import { NO_OVERRIDES, type ServiceOverrides } from "../../../../src/model/cluster/service.ts";
import { decodeService } from "../../../../src/sources/decode/decode-service.ts";
import { serviceObject } from "../../../support/objects/builders.ts";

/** The overrides of a Service that must be accepted, and "annotation=value: reason" for each of its faults. */
function chosen(annotations: Readonly<Record<string, unknown>>) {
  const object = serviceObject("shop/web");
  const result = decodeService({ ...object, metadata: { namespace: "shop", name: "web", annotations } });
  if (result.kind !== "accepted") throw new Error(`not wanted: ${JSON.stringify(result)}`);
  const name = (path: string) => /^metadata\.annotations\["(.*)"\]$/.exec(path)?.[1];
  return {
    overrides: result.value.overrides,
    faults: result.problems.map((fault) => `${name(fault.field)}=${fault.value}: ${fault.reason}`),
  };
}

const SCHEDULERS = "rr, wrr, lc, wlc, lblc, lblcr, sh, dh, sed, nq, fo, ovf, mh";
const scheduled = (scheduler: string, ...flags: readonly string[]) => ({ scheduling: { scheduler, flags } });

test.each<[string, Readonly<Record<string, unknown>>, object, readonly string[]]>([
  ["nothing", {}, {}, []],
  ["annotations of other programs", { "example.com/scheduler": "wlc" }, {}, []],
  ["a scheduler", { "kube-ipvs.io/scheduler": "wlc" }, scheduled("wlc"), []],
  ["spaces around it", { "kube-ipvs.io/scheduler": " lc " }, scheduled("lc"), []],
  ["mh hashes the port by default", { "kube-ipvs.io/scheduler": "mh" }, scheduled("mh", "mh-port"), []],
  ["mh without flags", { "kube-ipvs.io/scheduler": "mh", "kube-ipvs.io/scheduler-flags": "" }, scheduled("mh"), []],
  [
    "flags in any order",
    { "kube-ipvs.io/scheduler": "sh", "kube-ipvs.io/scheduler-flags": "sh-port, sh-fallback" },
    scheduled("sh", "sh-fallback", "sh-port"),
    [],
  ],
  ["the annotation of kube-router", { "kube-router.io/service.scheduler": "dh" }, scheduled("dh"), []],
  [
    "our annotation before that of kube-router",
    { "kube-router.io/service.scheduler": "dh", "kube-ipvs.io/scheduler": "lc" },
    scheduled("lc"),
    [],
  ],
  [
    "flags with the annotation of kube-router",
    { "kube-router.io/service.scheduler": "sh", "kube-ipvs.io/scheduler-flags": "sh-port" },
    scheduled("sh", "sh-port"),
    [],
  ],
  [
    "an unknown scheduler",
    { "kube-ipvs.io/scheduler": "fastest" },
    {},
    [`kube-ipvs.io/scheduler=fastest: must be one of ${SCHEDULERS}`],
  ],
  [
    "an unknown scheduler of kube-router",
    { "kube-router.io/service.scheduler": "" },
    {},
    [`kube-router.io/service.scheduler=: must be one of ${SCHEDULERS}`],
  ],
  [
    "a flag of another scheduler",
    { "kube-ipvs.io/scheduler": "mh", "kube-ipvs.io/scheduler-flags": "sh-port" },
    scheduled("mh", "mh-port"),
    ["kube-ipvs.io/scheduler-flags=sh-port: must be a comma list of mh-fallback, mh-port"],
  ],
  [
    "a flag of a scheduler without any",
    { "kube-ipvs.io/scheduler": "rr", "kube-ipvs.io/scheduler-flags": "mh-port" },
    scheduled("rr"),
    ["kube-ipvs.io/scheduler-flags=mh-port: must be empty: scheduler rr has no flags"],
  ],
  [
    "flags without a scheduler",
    { "kube-ipvs.io/scheduler-flags": "mh-port" },
    {},
    ["kube-ipvs.io/scheduler-flags=mh-port: needs a valid kube-ipvs.io/scheduler"],
  ],
  ["one-packet mode", { "kube-ipvs.io/one-packet": "true" }, { onePacket: true }, []],
  ["one-packet mode as YAML has it", { "kube-ipvs.io/one-packet": true }, { onePacket: true }, []],
  ["no one-packet mode", { "kube-ipvs.io/one-packet": "false" }, {}, []],
  [
    "an invalid one-packet mode",
    { "kube-ipvs.io/one-packet": "yes" },
    {},
    ["kube-ipvs.io/one-packet=yes: must be true or false"],
  ],
  ["a drain limit", { "kube-ipvs.io/drain-timeout": "1m30s" }, { drainTimeoutMs: 90_000 }, []],
  ["no draining", { "kube-ipvs.io/drain-timeout": "0s" }, { drainTimeoutMs: 0 }, []],
  [
    "a drain limit without a unit",
    { "kube-ipvs.io/drain-timeout": "30" },
    {},
    ['kube-ipvs.io/drain-timeout=30: must be a duration like "30s", "1h15m" or "250ms"'],
  ],
  [
    "a drain limit below zero",
    { "kube-ipvs.io/drain-timeout": "-30s" },
    {},
    ["kube-ipvs.io/drain-timeout=-30s: must not be negative"],
  ],
  [
    "a misspelt annotation",
    { "kube-ipvs.io/schedular": "lc" },
    {},
    [
      "kube-ipvs.io/schedular=lc: is unknown: must be one of kube-ipvs.io/scheduler, kube-ipvs.io/scheduler-flags, " +
        "kube-ipvs.io/one-packet, kube-ipvs.io/drain-timeout",
    ],
  ],
  [
    "an invalid annotation beside a valid one",
    { "kube-ipvs.io/scheduler": "x", "kube-ipvs.io/one-packet": "true" },
    { onePacket: true },
    [`kube-ipvs.io/scheduler=x: must be one of ${SCHEDULERS}`],
  ],
])("overrides: %s", (_, annotations, expected, faults) => {
  expect(chosen(annotations)).toEqual({ overrides: { ...NO_OVERRIDES, ...expected } as ServiceOverrides, faults });
});

test("annotations that are not an object override nothing", () => {
  expect(decodeService({ ...serviceObject("shop/web"), metadata: { name: "web", annotations: ["x"] } })).toMatchObject({
    kind: "accepted",
    value: { overrides: NO_OVERRIDES },
  });
});
