import { expect, test } from "vitest";
import { hashedIfSticky, schedulerProblems, schedulingOf } from "../../../../src/desired/service/scheduling.ts";
import { problemObject } from "../../../../src/model/cluster/problem.ts";
import { type ServiceSpec, service } from "../../../support/objects/builders.ts";
import { type FactsSpec, facts } from "../../../support/objects/desired.ts";

const LC: ServiceSpec = { annotations: { "kube-ipvs.io/scheduler": "lc" } };

test.each<[string, ServiceSpec, FactsSpec, string]>([
  ["the node's", {}, { scheduler: "wrr" }, "wrr "],
  ["mh, as it works without session affinity", {}, { scheduler: "mh" }, "mh mh-port"],
  ["the Service's own", LC, { scheduler: "mh" }, "lc "],
  ["the node's where the kernel lacks the Service's", LC, { missingSchedulers: ["lc"] }, "rr "],
  ["the node's though the kernel lacks it, for want of a better", {}, { missingSchedulers: ["rr"] }, "rr "],
])("a virtual server has %s", (_, said, node, expected) => {
  const { scheduler, flags } = schedulingOf(service("shop/web", said), "TCP", facts(node));
  expect(`${scheduler} ${flags.join()}`).toBe(expected);
});

test.each<[string, ServiceSpec, FactsSpec, string]>([
  ["without affinity as any other", LC, {}, "lc "],
  ["with affinity by the client's address", { affinity: 60 }, {}, "sh sh-fallback"],
  ["where the kernel lacks that hash as any other", { affinity: 60 }, { missingSchedulers: ["sh"] }, "rr "],
])("by packet mark endpoints are chosen %s", (_, said, node, expected) => {
  const { scheduler, flags } = hashedIfSticky(service("shop/web", said), "TCP", facts(node));
  expect(`${scheduler} ${flags.join()}`).toBe(expected);
});

test("a Service is told when the kernel lacks its scheduler, and only then", () => {
  expect(schedulerProblems(service("shop/web", LC), facts())).toEqual([]);
  expect(schedulerProblems(service("shop/web", {}), facts({ missingSchedulers: ["rr"] }))).toEqual([]);
  expect(schedulerProblems(service("shop/web", LC), facts({ missingSchedulers: ["lc"] }))).toEqual([
    {
      object: problemObject("Service", "shop/web"),
      field: "metadata.annotations",
      value: "lc",
      reason: "is not available as IPVS scheduler in this kernel: rr is used instead",
    },
  ]);
});
