import { expect, test } from "vitest";
import { hashedIfSticky, schedulerProblems, schedulingOf } from "../../../../src/desired/service/scheduling.ts";
import { problemObject } from "../../../../src/model/cluster/problem.ts";
import { type ServiceSpec, service } from "../../../support/objects/builders.ts";
import { type FactsSpec, facts } from "../../../support/objects/desired.ts";

const LC: ServiceSpec = { annotations: { "kube-ipvs.io/scheduler": "lc" } };

test.each<[string, ServiceSpec, FactsSpec, string]>([
  ["the scheduler of the node", {}, { scheduler: "wrr" }, "wrr "],
  ["mh, which works without session affinity", {}, { scheduler: "mh" }, "mh mh-port"],
  ["the scheduler of the Service", LC, { scheduler: "mh" }, "lc "],
  ["the scheduler of the node if the kernel lacks the Service's", LC, { missingSchedulers: ["lc"] }, "rr "],
  ["the scheduler of the node, even if the kernel lacks it", {}, { missingSchedulers: ["rr"] }, "rr "],
])("a virtual server has %s", (_, said, node, expected) => {
  const { scheduler, flags } = schedulingOf(service("shop/web", said), "TCP", facts(node));
  expect(`${scheduler} ${flags.join()}`).toBe(expected);
});

test.each<[string, ServiceSpec, FactsSpec, string]>([
  ["without affinity by the scheduler of the Service", LC, {}, "lc "],
  ["with affinity by a hash of the client's address", { affinity: 60 }, {}, "sh sh-fallback"],
  [
    "without that hash in the kernel by the scheduler of the node",
    { affinity: 60 },
    { missingSchedulers: ["sh"] },
    "rr ",
  ],
])("by packet mark endpoints are selected %s", (_, said, node, expected) => {
  const { scheduler, flags } = hashedIfSticky(service("shop/web", said), "TCP", facts(node));
  expect(`${scheduler} ${flags.join()}`).toBe(expected);
});

test("a Service has a problem only if the kernel lacks its scheduler", () => {
  expect(schedulerProblems(service("shop/web", LC), facts())).toEqual([]);
  expect(schedulerProblems(service("shop/web", {}), facts({ missingSchedulers: ["rr"] }))).toEqual([]);
  expect(schedulerProblems(service("shop/web", LC), facts({ missingSchedulers: ["lc"] }))).toEqual([
    {
      object: problemObject("Service", "shop/web"),
      field: "metadata.annotations",
      value: "lc",
      reason:
        "is not available as IPVS scheduler in this kernel: rr is used instead; to load it, run on the host: modprobe ip_vs_lc",
    },
  ]);
});
