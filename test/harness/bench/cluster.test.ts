import { expect, test } from "vitest";
import { clusterIPOf, essentialOf, nodeOf, podIPOf, serviceNameOf } from "../../../bench/api/cluster-objects.ts";
import { type ClusterEvent, ClusterState } from "../../../bench/api/cluster-state.ts";
import { Workload } from "../../../bench/floors/workload.ts";
import { countsOf } from "../../../bench/watch/table-counts.ts";
import { ServiceTable } from "../../../src/services/service-table.ts";

function stateOf(services: number, endpoints: number) {
  const events: ClusterEvent[] = [];
  return { state: new ClusterState({ services, endpoints }, (event) => events.push(event)), events };
}

const addressesIn = (json: string): readonly string[] =>
  JSON.parse(json).endpoints.map(({ addresses }: { readonly addresses: readonly string[] }) => addresses[0]);

test("the agent accepts every object, and every address is of one pod only", () => {
  const events = new Workload({ services: 300, endpoints: 5 }).all();
  const addresses = events.flatMap((event) =>
    event.kind === "slice-upserted"
      ? [...event.slice.endpoints].flatMap(([, list]) => list.map(({ address, port }) => `${address}:${port}`))
      : [],
  );
  expect(events.filter(({ kind }) => kind === "service-upserted")).toHaveLength(300);
  // The ports of kube-dns share their pods.
  expect(new Set(addresses).size).toBe(300 * 5);
});

test("the endpoints of kube-dns count once, though it has two ports", () => {
  const table = new ServiceTable();
  for (const event of new Workload({ services: 200, endpoints: 10 }).all()) table.apply(event);
  expect(countsOf(table)).toEqual({ services: 200, endpoints: 2000 });
});

test("default/kubernetes and kube-dns are in the middle", () => {
  const size = { services: 100, endpoints: 1 };
  expect(essentialOf(size).map((index) => serviceNameOf(size, index))).toEqual([
    { namespace: "default", name: "kubernetes" },
    { namespace: "kube-system", name: "kube-dns" },
  ]);
  expect(essentialOf({ services: 1, endpoints: 1 })).toEqual([]);
});

test("addresses do not repeat up to the largest cluster", () => {
  expect([0, 255, 256, 65_536].map(clusterIPOf)).toEqual(["10.96.0.0", "10.96.0.255", "10.96.1.0", "10.97.0.0"]);
  expect([0, 65_536, (1 << 20) - 1, 1 << 20].map(podIPOf)).toEqual([
    ...["172.16.0.0", "172.17.0.0", "172.31.255.255", "11.0.0.0"],
  ]);
});

test("a replaced endpoint is one change of one slice, with a new address", () => {
  const { state, events } = stateOf(20, 3);
  const before = [...state.slicesOf(7)].flatMap(addressesIn);
  const { added, removed } = state.replacePod(7);
  expect(events.map(({ type, resource }) => [type, resource])).toEqual([["MODIFIED", "endpointslices"]]);
  expect(before).toContain(podIPOf(removed));
  expect(addressesIn(events[0]?.json ?? "")).toEqual([podIPOf(added), ...before.slice(1)]);
  expect([...state.slicesOf(7)].flatMap(addressesIn)).toEqual(addressesIn(events[0]?.json ?? ""));
});

test("a Service of more than 100 endpoints has several slices, and slices that become empty are deleted", () => {
  const { state, events } = stateOf(20, 250);
  expect(Array.from(state.slicesOf(0), (json) => addressesIn(json).length)).toEqual([100, 100, 50]);
  state.setPods(0, state.podsOf(0).slice(0, 120));
  expect(events.map(({ type, json }) => [type, JSON.parse(json).metadata.name])).toEqual([
    ["MODIFIED", "service-0-x7k1p"],
    ["DELETED", "service-0-x7k2p"],
  ]);
});

test("a Service is added with its slices and deleted with them", () => {
  const { state, events } = stateOf(20, 3);
  state.addService(20, 4);
  expect([...state.services()]).toHaveLength(21);
  state.deleteService(20);
  expect([...state.services()]).toHaveLength(20);
  expect(events.map(({ type, resource }) => `${type} ${resource}`)).toEqual([
    ...["ADDED services", "ADDED endpointslices", "DELETED services", "DELETED endpointslices"],
  ]);
  const versions = events.map(({ json }) => Number(JSON.parse(json).metadata.resourceVersion));
  expect(versions[0]).toBeGreaterThan(new ClusterState(state.size, () => {}).version);
  expect(versions).toEqual([versions[0], versions[0], state.version, state.version]);
});

test("the pods of a node are about a hundred, of different Services", () => {
  const { state } = stateOf(200, 10);
  const found = state.onNode(3);
  const pods = [...found.values()].flat();
  expect(pods).toHaveLength(100);
  expect(found.size).toBe(100);
  expect(pods.every((pod) => nodeOf(state.size, pod) === 3)).toBe(true);
});
