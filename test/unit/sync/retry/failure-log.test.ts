import { describe, expect, test } from "vitest";
import { THE_NODE } from "../../../../src/desired/desired-node.ts";
import type { IPAddress } from "../../../../src/model/address.ts";
import { type ServiceName, serviceName } from "../../../../src/model/cluster/service.ts";
import type { Errno } from "../../../../src/model/kernel/errno.ts";
import type { Keys } from "../../../../src/model/kernel/keys.ts";
import { FailureLog, type FailureReport, NO_FAILURES } from "../../../../src/sync/retry/failure-log.ts";
import { address } from "../../../support/objects/desired.ts";

const WEB = serviceName("shop", "web");

/** The Services that claim an address, and how often they were read. */
class Claimants {
  readonly #services: readonly ServiceName[];
  reads = 0;

  constructor(...services: readonly ServiceName[]) {
    this.#services = services;
  }

  servicesOf({ addresses }: Keys): ReadonlyMap<string, readonly ServiceName[]> {
    this.reads++;
    return new Map([...addresses].map((key) => [key, this.#services]));
  }
}

const fail = (
  log: FailureLog,
  ip: IPAddress,
  { errno = "ENOBUFS" as Errno, nowMs = 0, kind = "bind-address" as const } = {},
) => log.failed(ip, { operation: { kind, binding: "address", address: ip }, errno, text: "" }, nowMs);
const summary = ({ begun, ended, standing }: FailureReport) => [
  begun.map(({ operation, errno }) => `${"address" in operation ? operation.address : ""} ${errno}`),
  ended.map(({ operation }) => ("address" in operation ? operation.address : "")),
  standing.length,
];

test("a reported failure has its Services, its begin and its number of attempts", () => {
  const log = new FailureLog();
  const claimants = new Claimants(THE_NODE, WEB);
  const ip = address("10.96.0.1");
  expect(log.report(claimants, 0)).toBe(NO_FAILURES);
  fail(log, ip, { nowMs: 1_000 });
  const failure = {
    operation: { kind: "bind-address", binding: "address", address: ip },
    errno: "ENOBUFS",
    text: "",
    services: [WEB],
  };
  const first = { ...failure, sinceMs: 1_000, attempts: 1 };
  expect(log.report(claimants, 1_000)).toEqual({ begun: [first], ended: [], standing: [first] });
  fail(log, ip, { nowMs: 2_000 });
  const second = { ...failure, sinceMs: 1_000, attempts: 2 };
  expect(log.report(claimants, 2_000)).toEqual({ begun: [], ended: [], standing: [second] });
  fail(log, ip, { nowMs: 4_000, errno: "EPERM" });
  expect(summary(log.report(claimants, 4_000))).toEqual([["10.96.0.1 EPERM"], [], 1]);
  log.ended(ip);
  const last = { ...second, errno: "EPERM", attempts: 3 };
  expect(log.report(claimants, 5_000)).toEqual({ begun: [], ended: [last], standing: [] });
  expect(log.report(claimants, 6_000)).toBe(NO_FAILURES);
  expect(claimants.reads).toBe(1);
});

describe("100,000 failures", () => {
  const ips = Array.from({ length: 100_000 }, (_, index) =>
    address(`10.${100 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`),
  );

  test("at once are reported by twenty, and so are their ends", () => {
    const log = new FailureLog();
    const claimants = new Claimants(WEB);
    for (const ip of ips) fail(log, ip);
    const { begun, standing } = log.report(claimants, 0);
    expect([begun.length, standing.length, claimants.reads]).toEqual([20, 20, 1]);
    for (const ip of ips) log.ended(ip);
    expect(log.report(claimants, 0).ended).toHaveLength(20);
  });

  test("that begin and end one after the other within an hour are reported by at most 140, each with its end", () => {
    const log = new FailureLog();
    let reported = 0;
    for (const [index, ip] of ips.entries()) {
      const nowMs = index * 36;
      fail(log, ip, { nowMs });
      reported += log.report(new Claimants(), nowMs).begun.length;
      log.ended(ip);
      reported += log.report(new Claimants(), nowMs).ended.length;
    }
    expect(reported).toBeGreaterThan(40);
    expect(reported).toBeLessThanOrEqual(2 * (20 + 120));
  });
});
