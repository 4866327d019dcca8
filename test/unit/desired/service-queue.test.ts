import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DesiredStateBuilder } from "../../../src/desired/desired-state-builder.ts";
import { ServiceQueue } from "../../../src/desired/service-queue.ts";
import { serviceName } from "../../../src/model/cluster/service.ts";
import { type ServiceSpec, service, slice } from "../../support/objects/builders.ts";
import { facts } from "../../support/objects/desired.ts";

const LABEL = { "k8s-app": "kube-dns" };

/** In the order in which a booting node needs them. The boolean: an endpoint runs on this node. */
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

test("stale Services are taken in the order in which a booting node needs them, each once, in any order of arrival", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...KINDS)), fc.nat({ max: 5 }), (kinds, first) => {
      const queue = new ServiceQueue();
      for (const [name, said] of kinds) queue.add(serviceName(...split(name)), service(name, said));
      const names = new Set(kinds.map(([name]) => serviceName(...split(name))));
      expect(queue.size).toBe(names.size);
      const taken: (string | undefined)[] = [];
      // In two parts, as slices of work do it.
      for (const name of queue.take(isHere)) if (taken.push(name) > first) break;
      for (const name of queue.take(isHere)) taken.push(name);
      const sorted = [...names].toSorted((a, b) => (RANK.get(a) ?? 0) - (RANK.get(b) ?? 0));
      expect(taken.filter((name) => name !== undefined)).toEqual(sorted);
      expect(queue.size).toBe(0);
    }),
  );
});

test("a waiting Service keeps its place when it changes or is deleted", () => {
  const queue = new ServiceQueue();
  const name = serviceName("default", "kubernetes");
  queue.add(name, service(name));
  queue.add(name, undefined);
  expect(queue.size).toBe(1);
  expect([...queue.take(isHere)]).toEqual([name]);
});

describe("if all Services are stale, they", () => {
  /** Added in the worst order; the address identifies each Service. */
  function filled(): DesiredStateBuilder {
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
    expect(addresses(filled(), 99)).toEqual(["10.96.0.1", "10.96.0.2", "10.96.0.3", "10.96.0.4"]);
  });

  test("are computed in this order also a few at a time, and examining one costs a unit of work", () => {
    const state = filled();
    const turns = Array.from({ length: 9 }, () => addresses(state, 1));
    expect(turns.flat()).toEqual(["10.96.0.1", "10.96.0.2", "10.96.0.3", "10.96.0.4"]);
    // Each Service takes two turns, and the last one is examined once before it waits behind the third.
    expect(turns.map(({ length }) => length)).toEqual([0, 1, 0, 1, 0, 0, 1, 0, 1]);
    expect(state.stale).toBe(0);
  });

  test("are computed in this order for another scheduler", () => {
    const state = filled();
    state.advance(99);
    state.setFacts(facts({ node: "n1", scheduler: "sh" }));
    const servers = state.advance(99).flatMap((keys) => [...keys.servers]);
    expect(servers).toEqual(["TCP/10.96.0.1:443", "TCP/10.96.0.2:53", "TCP/10.96.0.3:80", "TCP/10.96.0.4:80"]);
  });
});
