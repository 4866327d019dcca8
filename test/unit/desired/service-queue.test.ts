import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DesiredStateBuilder } from "../../../src/desired/desired-state-builder.ts";
import { ServiceQueue } from "../../../src/desired/service-queue.ts";
import { serviceName } from "../../../src/model/cluster/service.ts";
import { type ServiceSpec, service, slice } from "../../support/objects/builders.ts";
import { facts } from "../../support/objects/desired.ts";

const LABEL = { "k8s-app": "kube-dns" };

/** In the order in which a booting node needs them; the boolean: an endpoint runs on it. */
const KINDS: readonly (readonly [string, ServiceSpec, boolean, number])[] = [
  ["default/kubernetes", {}, true, 0],
  ["kube-system/kube-dns", { ports: [{ port: 53, protocol: "UDP" }] }, false, 1],
  [
    "shop/names",
    {
      ports: [
        { name: "web", port: 80 },
        { name: "dns", port: 53 },
      ],
    },
    true,
    1,
  ],
  ["kube-system/resolver", { ports: [5353], labels: LABEL }, false, 1],
  ["shop/web", {}, true, 2],
  ["kube-system/other-resolver", { ports: [5353], labels: { "k8s-app": "other" } }, false, 3],
  ["kube-system/kubernetes", {}, false, 3],
  ["shop/api", {}, false, 3],
];
const IS_HERE = new Map(KINDS.map(([name, , isHere]) => [serviceName(...split(name)), isHere]));
const RANK = new Map(KINDS.map(([name, , , rank]) => [serviceName(...split(name)), rank]));

function split(name: string): [string, string] {
  const [namespace = "", rest = ""] = name.split("/");
  return [namespace, rest];
}

const isHere = (name: ReturnType<typeof serviceName>) => IS_HERE.get(name) === true;

test("Services that are stale, in whatever order they come, are taken as a booting node needs them, each once", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...KINDS)), fc.nat({ max: 5 }), (kinds, first) => {
      const order = new ServiceQueue();
      for (const [name, said] of kinds) order.add(serviceName(...split(name)), service(name, said));
      const names = new Set(kinds.map(([name]) => serviceName(...split(name))));
      expect(order.size).toBe(names.size);
      const taken: (string | undefined)[] = [];
      // In two goes, as slices of work do it.
      for (const name of order.take(isHere)) if (taken.push(name) > first) break;
      for (const name of order.take(isHere)) taken.push(name);
      const sorted = [...names].toSorted((a, b) => (RANK.get(a) ?? 0) - (RANK.get(b) ?? 0));
      expect(taken.filter((name) => name !== undefined)).toEqual(sorted);
      expect(order.size).toBe(0);
    }),
  );
});

test("a Service that waits keeps its place whatever becomes of it", () => {
  const order = new ServiceQueue();
  const name = serviceName("default", "kubernetes");
  order.add(name, service(name));
  order.add(name, undefined);
  expect(order.size).toBe(1);
  expect([...order.take(isHere)]).toEqual([name]);
});

describe("Services that are all stale", () => {
  /** Told in the worst order; each is known by its address. */
  function told(): DesiredStateBuilder {
    const state = new DesiredStateBuilder(facts({ node: "n1" }));
    const said: readonly (readonly [string, string, string, number])[] = [
      ["shop/far", "10.96.0.4", "n2", 80],
      ["shop/here", "10.96.0.3", "n1", 80],
      ["kube-system/kube-dns", "10.96.0.2", "n2", 53],
      ["default/kubernetes", "10.96.0.1", "n2", 443],
    ];
    for (const [name, ip, node, port] of said) {
      state.apply({ kind: "service-upserted", service: service(name, { ip, ports: [port] }) });
      state.apply({ kind: "slice-upserted", slice: slice(`${name}-1`, { endpoints: [{ ip: "10.244.0.9", node }] }) });
    }
    return state;
  }

  const addresses = (state: DesiredStateBuilder, limit: number) =>
    state.advance(limit).flatMap((keys) => [...keys.addresses]);

  test("are computed in this order at the start", () => {
    expect(addresses(told(), 99)).toEqual(["10.96.0.1", "10.96.0.2", "10.96.0.3", "10.96.0.4"]);
  });

  test("are computed in this order a few at a time, too, and looking at one costs a place", () => {
    const state = told();
    const turns = Array.from({ length: 9 }, () => addresses(state, 1));
    expect(turns.flat()).toEqual(["10.96.0.1", "10.96.0.2", "10.96.0.3", "10.96.0.4"]);
    // Each Service takes two turns, and the last one is looked at once before it waits behind the third.
    expect(turns.map(({ length }) => length)).toEqual([0, 1, 0, 1, 0, 0, 1, 0, 1]);
    expect(state.stale).toBe(0);
  });

  test("are computed in this order for another scheduler", () => {
    const state = told();
    state.advance(99);
    state.setFacts(facts({ node: "n1", scheduler: "sh" }));
    const servers = state.advance(99).flatMap((keys) => [...keys.servers]);
    expect(servers).toEqual(["TCP/10.96.0.1:443", "TCP/10.96.0.2:53", "TCP/10.96.0.3:80", "TCP/10.96.0.4:80"]);
  });
});
