import { describe, expect, test } from "vitest";
import type { ClusterNode, EndpointSlice, Service, ServiceCIDR } from "../../../src/model/cluster/service.ts";
import { serviceName, sliceName } from "../../../src/model/cluster/service.ts";
import type { ClusterEvent, Resource } from "../../../src/services/cluster-event.ts";
import { ServiceTable } from "../../../src/services/service-table.ts";
import {
  clusterNode,
  type ServiceSpec,
  type SliceSpec,
  service,
  serviceCIDR,
  slice,
} from "../../support/objects/builders.ts";

const put = (value: Service): ClusterEvent => ({ kind: "service-upserted", service: value });
const putSlice = (value: EndpointSlice): ClusterEvent => ({ kind: "slice-upserted", slice: value });
const putNode = (node: ClusterNode): ClusterEvent => ({ kind: "node-upserted", node });
const drop = (name: string): ClusterEvent => ({ kind: "service-deleted", name: serviceName("shop", name) });
const dropSlice = (name: string): ClusterEvent => ({ kind: "slice-deleted", name: sliceName("shop", name) });
const WEB = serviceName("shop", "web");
const API = serviceName("shop", "api");

function tableOf(...events: readonly ClusterEvent[]): ServiceTable {
  const table = new ServiceTable();
  for (const event of events) table.apply(event);
  return table;
}

function addresses(table: ServiceTable, name = WEB): readonly string[] {
  return [...table.endpoints(name)].flatMap(([, endpoints]) => endpoints.map(({ address }) => address));
}

describe("Services", () => {
  const base: ServiceSpec = { ip: ["10.96.0.1"], ports: [{ name: "a", port: 80, nodePort: 30080 }] };
  const before = put(service("shop/web", base));

  test("a new one is touched and stored", () => {
    const table = new ServiceTable();
    expect(table.apply(before)).toEqual([WEB]);
    expect(table.service(WEB)).toEqual(service("shop/web", base));
    expect([...table.serviceNames()]).toEqual([WEB]);
  });

  test("an update with the same content touches nothing", () => {
    expect(tableOf(before).apply(put(service("shop/web", { ...base, labels: { team: "a" } })))).toEqual([]);
  });

  test.each<[string, ServiceSpec]>([
    ["address", { ip: ["10.96.0.2"] }],
    ["second family", { ip: ["10.96.0.1", "fd00::1"] }],
    ["port number", { ports: [{ name: "a", port: 81, nodePort: 30080 }] }],
    ["port name", { ports: [{ name: "b", port: 80, nodePort: 30080 }] }],
    ["protocol", { ports: [{ name: "a", port: 80, nodePort: 30080, protocol: "UDP" }] }],
    ["node port", { ports: [{ name: "a", port: 80, nodePort: 30081 }] }],
    [
      "number of ports",
      {
        ports: [
          { name: "a", port: 80, nodePort: 30080 },
          { name: "b", port: 81 },
        ],
      },
    ],
    ["affinity", { affinity: 5 }],
    ["internal traffic policy", { internal: "Local" }],
    ["external traffic policy", { external: "Local" }],
    ["external IPs", { externalIPs: ["203.0.113.5"] }],
    ["label of the cluster's DNS", { labels: { "k8s-app": "kube-dns" } }],
    ["scheduler", { annotations: { "kube-ipvs.io/scheduler": "lc" } }],
    ["drain timeout", { annotations: { "kube-ipvs.io/drain-timeout": "5s" } }],
    ["one-packet mode", { annotations: { "kube-ipvs.io/one-packet": "true" } }],
  ])("a change of its %s touches it", (_, change) => {
    const table = tableOf(before);
    const after = service("shop/web", { ...base, ...change });
    expect(table.apply(put(after))).toEqual([WEB]);
    expect(table.service(WEB)).toEqual(after);
  });

  test.each<[string, ServiceSpec]>([
    ["load balancer IPs", { loadBalancerIPs: ["198.51.100.6"] }],
    ["source ranges", { sourceRanges: ["192.0.2.0/25"] }],
    ["restriction", { sourceRanges: [] }],
    ["health check node port", { healthCheckNodePort: 31001 }],
  ])("a change of the %s of a load balancer touches it", (_, change) => {
    const balanced: ServiceSpec = {
      type: "LoadBalancer",
      external: "Local",
      loadBalancerIPs: ["198.51.100.5"],
      sourceRanges: ["192.0.2.0/24"],
      healthCheckNodePort: 31000,
    };
    const table = tableOf(put(service("shop/web", balanced)));
    expect(table.apply(put(service("shop/web", balanced)))).toEqual([]);
    expect(table.apply(put(service("shop/web", { ...balanced, ...change })))).toEqual([WEB]);
  });

  test("a change of scheduler flags touches it, the same flags in another order do not", () => {
    const flagged = (flags: string) =>
      put(
        service("shop/web", { annotations: { "kube-ipvs.io/scheduler": "mh", "kube-ipvs.io/scheduler-flags": flags } }),
      );
    const table = tableOf(flagged("mh-port"));
    expect(table.apply(flagged("mh-port,mh-fallback"))).toEqual([WEB]);
    expect(table.apply(flagged("mh-fallback, mh-port"))).toEqual([]);
  });

  test("a deletion touches it once", () => {
    const table = tableOf(before);
    expect(table.apply(drop("web"))).toEqual([WEB]);
    expect(table.service(WEB)).toBeUndefined();
    expect(table.apply(drop("web"))).toEqual([]);
  });
});

describe("slices", () => {
  const base: SliceSpec = { endpoints: [{ ip: "10.0.0.1", node: "a", zones: ["z1"], nodes: ["a"] }] };
  const web = put(service("shop/web"));
  const api = put(service("shop/api"));
  const before = putSlice(slice("shop/web-1", base));

  test("a new one touches its Service", () => {
    expect(tableOf(web).apply(before)).toEqual([WEB]);
  });

  test("slices of an absent Service touch nothing, and are used when it is added", () => {
    const table = new ServiceTable();
    expect(table.apply(before)).toEqual([]);
    expect(table.apply(web)).toEqual([WEB]);
    expect(addresses(table)).toEqual(["10.0.0.1"]);
  });

  test("name the nodes on which endpoints run, in any state", () => {
    const other = slice("shop/web-2", { endpoints: [{ ip: "10.0.0.2", node: "b", ready: false }] });
    const table = tableOf(web, before, putSlice(other));
    const nodes = ["a", "b", "c"];
    expect(nodes.map((node) => table.hasEndpointOn(WEB, node))).toEqual([true, true, false]);
    expect(table.hasEndpointOn(serviceName("shop", "api"), "a")).toBe(false);
  });

  test("an update of a slice with other labels and another change time touches nothing", () => {
    const annotations = { "endpoints.kubernetes.io/last-change-trigger-time": "2026-01-02T03:04:05Z" };
    const again = putSlice(slice("shop/web-1", { ...base, annotations, labels: { team: "a" } }));
    expect(tableOf(web, before).apply(again)).toEqual([]);
  });

  test.each<[string, SliceSpec]>([
    ["address", { endpoints: [{ ip: "10.0.0.2", node: "a", zones: ["z1"], nodes: ["a"] }] }],
    ["readiness", { endpoints: [{ ip: "10.0.0.1", ready: false, node: "a", zones: ["z1"], nodes: ["a"] }] }],
    ["serving", { endpoints: [{ ip: "10.0.0.1", serving: false, node: "a", zones: ["z1"], nodes: ["a"] }] }],
    ["terminating", { endpoints: [{ ip: "10.0.0.1", terminating: true, node: "a", zones: ["z1"], nodes: ["a"] }] }],
    ["node", { endpoints: [{ ip: "10.0.0.1", node: "b", zones: ["z1"], nodes: ["a"] }] }],
    ["zone hints", { endpoints: [{ ip: "10.0.0.1", node: "a", zones: ["z2"], nodes: ["a"] }] }],
    ["node hints", { endpoints: [{ ip: "10.0.0.1", node: "a", zones: ["z1"], nodes: ["b"] }] }],
    ["number of endpoints", { endpoints: [] }],
    ["port number", { ...base, ports: [8081] }],
    ["port name", { ...base, ports: [{ name: "a", port: 8080 }] }],
    ["ports, one less,", { ...base, ports: [] }],
    ["ports, one more,", { ...base, ports: [8080, { name: "b", port: 8081 }] }],
  ])("a change of its %s touches its Service", (_, change) => {
    const table = tableOf(web, before);
    const after = slice("shop/web-1", change);
    expect(table.apply(putSlice(after))).toEqual([WEB]);
    expect(new Map(table.endpoints(WEB))).toEqual(new Map(after.endpoints));
  });

  test("a deletion touches its Service once, and removes only its endpoints", () => {
    const table = tableOf(web, before, putSlice(slice("shop/web-2", { endpoints: ["10.0.0.2"] })));
    expect(table.apply(dropSlice("web-1"))).toEqual([WEB]);
    expect(addresses(table)).toEqual(["10.0.0.2"]);
    expect(table.apply(dropSlice("web-1"))).toEqual([]);
    expect(table.apply(dropSlice("web-2"))).toEqual([WEB]);
    expect(addresses(table)).toEqual([]);
  });

  test("a slice that moves to another Service touches both and leaves no endpoints in the first", () => {
    const table = tableOf(web, api, before);
    expect(table.apply(putSlice(slice("shop/web-1", { ...base, service: "api" })))).toEqual([WEB, API]);
    expect(addresses(table, WEB)).toEqual([]);
    expect(addresses(table, API)).toEqual(["10.0.0.1"]);
  });

  test("a slice that moves away from a deleted Service touches only the other", () => {
    const table = tableOf(api, before);
    expect(table.apply(putSlice(slice("shop/web-1", { ...base, service: "api" })))).toEqual([API]);
  });

  test("a Service that is added again has its slices", () => {
    const table = tableOf(web, before, drop("web"), web);
    expect(addresses(table)).toEqual(["10.0.0.1"]);
  });
});

test("Nodes touch nothing and can be read", () => {
  const table = new ServiceTable();
  const node = clusterNode("node-a", { zone: "z1" });
  expect(table.apply(putNode(node))).toEqual([]);
  expect(table.node("node-a")).toEqual(node);
  expect(table.apply({ kind: "node-deleted", name: "node-a" })).toEqual([]);
  expect(table.node("node-a")).toBeUndefined();
});

test("ServiceCIDRs touch nothing, and their networks are listed once each, sorted", () => {
  const table = new ServiceTable();
  const cidr = (name: string, ...cidrs: readonly string[]) => serviceCIDR(name, cidrs);
  const put = (one: ServiceCIDR) => table.apply({ kind: "servicecidr-upserted", cidr: one });
  expect(put(cidr("kubernetes", "10.96.0.0/16", "fd00:96::/108"))).toEqual([]);
  expect(put(cidr("more", "10.112.0.0/16"))).toEqual([]);
  expect(put(cidr("again", "10.96.0.0/16"))).toEqual([]);
  const texts = () => table.serviceNetworks().map(({ text }) => text);
  expect(texts()).toEqual(["10.112.0.0/16", "10.96.0.0/16", "fd00:96::/108"]);
  expect(table.apply({ kind: "servicecidr-deleted", name: "kubernetes" })).toEqual([]);
  expect(texts()).toEqual(["10.112.0.0/16", "10.96.0.0/16"]);
});

test.each<[Resource, Resource]>([
  ["services", "endpointslices"],
  ["endpointslices", "services"],
])("the table is complete when %s and %s are listed, even without Nodes and ServiceCIDRs", (first, second) => {
  const table = new ServiceTable();
  const states = (["nodes", "servicecidrs", first, second] as const).map((resource) => {
    table.apply({ kind: "listed", resource });
    return table.listed;
  });
  expect(states).toEqual([false, false, false, true]);
});
