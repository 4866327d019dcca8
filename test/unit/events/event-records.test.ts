import { expect, test } from "vitest";
import {
  kernelFailureEvent,
  listenFailureEvent,
  nodeWarningEvent,
  problemEvent,
  refusedPortEvent,
  startEvent,
} from "../../../src/events/event-records.ts";
import { manifestPart, type Problem, type ProblemObject, problemObject } from "../../../src/model/cluster/problem.ts";
import { serviceName } from "../../../src/model/cluster/service.ts";

const NODE = { kind: "Node", namespace: "", name: "node-1" };

function problem(object: ProblemObject, field = "spec.ports[0].port"): Problem {
  return { object, field, value: "99999", reason: "must be smaller" };
}

test.each([
  ["Service", "shop/web", { kind: "Service", namespace: "shop", name: "web" }],
  ["EndpointSlice", "shop/web-x7", { kind: "EndpointSlice", namespace: "shop", name: "web-x7" }],
] as const)("a problem of %s %s is an event about it", (kind, path, regarding) => {
  expect(problemEvent("node-1", problem(problemObject(kind, path)))).toMatchObject({
    type: "Warning",
    regarding,
    note: 'spec.ports[0].port "99999" must be smaller',
  });
});

test.each([
  ["Service without a valid name", problemObject("Service", "")],
  ["Service shop/web in file shop.yaml document 3", problemObject("Service", "shop/web", "file shop.yaml document 3")],
  ["file shop.yaml", manifestPart("file shop.yaml")],
  ["Node node-2", problemObject("Node", "node-2")],
])("a problem of %s is an event about this node", (text, object) => {
  expect(problemEvent("node-1", problem(object))).toMatchObject({
    regarding: NODE,
    note: `${text}: spec.ports[0].port "99999" must be smaller`,
  });
});

test("a problem of a whole object is an event without a field", () => {
  expect(problemEvent("node-1", problem(problemObject("Service", "shop/web"), "")).note).toBe(
    '"99999" must be smaller',
  );
});

test.each([
  ["metrics", "FailedToStartMetricServer"],
  ["healthz", "FailedToStartProxierHealthcheck"],
] as const)("the failure to listen on %s is reported in kube-proxy's words", (server, reason) => {
  const event = listenFailureEvent("node-1", server, new Error("listen EADDRINUSE: address already in use"));
  expect(event).toMatchObject({ reason, regarding: NODE, note: "listen EADDRINUSE: address already in use" });
});

test("a problem of the node is an event about it", () => {
  expect(startEvent("node-1", "1.2.3")).toMatchObject({ type: "Normal", reason: "Starting", regarding: NODE });
  expect(startEvent("node-1", "1.2.3").note).toContain("1.2.3");
  expect(nodeWarningEvent("node-1", "no iptables")).toMatchObject({
    type: "Warning",
    regarding: NODE,
    note: "no iptables",
  });
  const error = new Error("Cannot ask the kernel", { cause: new Error("Cannot set a: EROFS", { cause: "b" }) });
  expect(kernelFailureEvent("node-1", error)).toMatchObject({
    regarding: NODE,
    note: "Cannot ask the kernel: Cannot set a: EROFS: b",
  });
});

test("a health check port that cannot be opened is an event about its Service", () => {
  const refused = { service: serviceName("shop", "web"), port: 32_000, reason: "EADDRINUSE" };
  expect(refusedPortEvent(refused)).toMatchObject({
    type: "Warning",
    reason: "FailedToStartServiceHealthcheck",
    regarding: { kind: "Service", namespace: "shop", name: "web" },
    note: 'spec.healthCheckNodePort "32000": cannot listen: EADDRINUSE',
  });
});
