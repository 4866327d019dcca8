import fc from "fast-check";
import { expect, test } from "vitest";
import { buildDesiredService, type DesiredService } from "../../../src/desired/service/desired-service.ts";
import { type Endpoint, portKey } from "../../../src/model/cluster/service.ts";
import { mergeSlices } from "../../../src/services/endpoints.ts";
import { selectEndpoints } from "../../../src/services/topology.ts";
import { service, slice } from "../../support/objects/builders.ts";
import { facts, membersOf } from "../../support/objects/desired.ts";
import { endpoint } from "../../support/objects/endpoints.ts";

const { STRESS = "1" } = process.env;
const RUNS = 5_000 * Number(STRESS);

/** Few names, so that they often match each other and this node; "" is unknown. */
const nodeName = fc.constantFrom("a", "b", "c", "");
const zoneName = fc.constantFrom("x", "y", "z", "");
const hints = (name: "n" | "z") =>
  fc.oneof(
    { weight: 1, arbitrary: fc.constant<string[]>([]) },
    {
      weight: 4,
      arbitrary: fc.uniqueArray(fc.constantFrom(...(name === "n" ? "abc" : "xyz")), { minLength: 1, maxLength: 2 }),
    },
  );
const state = fc.record({
  ready: fc.boolean(),
  serving: fc.boolean(),
  terminating: fc.boolean(),
  nodeName,
  zoneHints: hints("z"),
  nodeHints: hints("n"),
  weight: fc.constantFrom(0, 1, 1, 1, 7),
});
const endpoints = fc
  .array(state, { maxLength: 6 })
  .map((states) => states.map((said, index) => endpoint(`10.0.0.${index + 1}`, 80, said)));
const needs = fc.record({ cluster: fc.boolean(), local: fc.boolean() });
const place = fc.record({ nodeName, zone: zoneName });

type Case = { all: readonly Endpoint[]; wantsCluster: boolean; wantsLocal: boolean; node: string; zone: string };

/** The rules again, for one endpoint at a time, in the words of the specification. */
function oracle({ all, wantsCluster, wantsLocal, node, zone }: Case) {
  let ready = 0;
  let nodeHinted = 0;
  let zoneHinted = 0;
  let toOurNode = 0;
  let toOurZone = 0;
  let localReady = 0;
  for (const one of all) {
    if (!one.ready) continue;
    ready++;
    if (one.nodeHints.length >= 1) nodeHinted++;
    if (one.zoneHints.length >= 1) zoneHinted++;
    if (node !== "" && one.nodeHints.indexOf(node) >= 0) toOurNode++;
    if (zone !== "" && one.zoneHints.indexOf(zone) >= 0) toOurZone++;
    if (node !== "" && one.nodeName === node) localReady++;
  }
  let mode = "all";
  if (ready > 0 && nodeHinted === ready && toOurNode > 0) mode = "node";
  else if (ready > 0 && zoneHinted === ready && toOurZone > 0) mode = "zone";

  const cluster: string[] = [];
  const local: string[] = [];
  let hasAny = false;
  for (const one of all) {
    const last = one.serving && one.terminating && !one.ready;
    const fits =
      mode === "all" || (mode === "node" ? one.nodeHints.indexOf(node) >= 0 : one.zoneHints.indexOf(zone) >= 0);
    const inCluster = ready > 0 ? one.ready && fits : last;
    const isOurs = node !== "" && one.nodeName === node;
    const inLocal = isOurs && (localReady > 0 ? one.ready : last);
    if (inCluster) cluster.push(one.address);
    if (inLocal) local.push(one.address);
    if (wantsCluster && inCluster) hasAny = true;
    if (wantsLocal && (one.ready || last)) hasAny = true;
  }
  const there = all.length > 0;
  return {
    cluster: there && wantsCluster ? cluster : undefined,
    local: there && wantsLocal ? local : undefined,
    hasAny,
  };
}

test("endpoints are selected as the specification says", () => {
  fc.assert(
    fc.property(endpoints, needs, place, (all, need, at) => {
      const found = selectEndpoints(all, need, at);
      const expected = oracle({
        all,
        wantsCluster: need.cluster,
        wantsLocal: need.local,
        node: at.nodeName,
        zone: at.zone,
      });
      expect({
        cluster: found.cluster?.map((one) => one.address),
        local: found.local?.map((one) => one.address),
        hasAny: found.hasAny,
      }).toEqual(expected);
    }),
    { numRuns: RUNS },
  );
});

test("a usable endpoint anywhere is never answered with an empty cluster set", () => {
  fc.assert(
    fc.property(endpoints, place, (all, at) => {
      const { cluster, hasAny } = selectEndpoints(all, { cluster: true, local: true }, at);
      expect((cluster ?? []).length > 0).toBe(hasAny);
    }),
    { numRuns: RUNS },
  );
});

const policy = fc.constantFrom("Cluster", "Local");
const MARK = 0x1001;
const CLUSTER_IP = "10.96.0.10,tcp:80";
const NODE_PORT = "192.168.1.10,tcp:30080";

type Verdict = readonly string[] | "dropped" | "refused";

/** How the kernel treats a client of the member's address and port: by which virtual server, after which sets. */
function verdict(found: DesiredService, at: { member: string; server: string; drops: readonly string[] }): Verdict {
  const members = membersOf(found).map(({ set, text }) => `${set.name} ${text}`);
  if (at.drops.some((set) => members.includes(`${set} ${at.member}`))) return "dropped";
  const state = found.servers.find(({ server }) => server.key === at.server);
  if (state === undefined) return expect.fail(`There is no ${at.server}`);
  const reals = state.reals.list().map(({ address, weight }) => `${address} ${weight}`);
  return reals.length === 0 ? "refused" : reals;
}

test("every client of every frontend is sent, dropped or rejected as the traffic policies define", () => {
  fc.assert(
    fc.property(endpoints, policy, policy, place, fc.boolean(), (all, internal, external, at, isExposed) => {
      const ports = isExposed ? [{ port: 80, nodePort: 30080 }] : [80];
      const found = buildDesiredService(
        service("shop/web", { ports, internal, external }),
        {
          get: () => all,
          listed: () => all.length,
          pods: () => all,
          [Symbol.iterator]: () => new Map([[portKey("", "TCP"), all]]).entries(),
        },
        facts({ node: at.nodeName, zone: at.zone }),
        () => (isExposed && external === "Local" ? MARK : undefined),
      );
      const { cluster, local, hasAny } = oracle({
        all,
        wantsCluster: true,
        wantsLocal: true,
        node: at.nodeName,
        zone: at.zone,
      });
      const weighed = (chosen: readonly string[] = []) =>
        all.filter((one) => chosen.includes(one.address)).map((one) => `${one.address} ${one.weight}`);
      const anywhere: Verdict = hasAny ? weighed(cluster) : "refused";
      const here: Verdict = (local ?? []).length > 0 ? weighed(local) : hasAny ? "dropped" : "refused";

      const inside = { member: CLUSTER_IP, server: "TCP/10.96.0.10:80", drops: ["KUBE-DROP"] };
      expect(verdict(found, inside), "at the cluster IP").toEqual(internal === "Local" ? here : anywhere);
      if (!isExposed) return;
      const outside = {
        member: NODE_PORT,
        server: "TCP/192.168.1.10:30080",
        drops: ["KUBE-DROP", "KUBE-DROP-EXTERNAL"],
      };
      expect(verdict(found, outside), "from outside at the node port").toEqual(external === "Local" ? here : anywhere);
      const isMarked = membersOf(found).some(({ set, text }) =>
        `${set.name} ${text}`.startsWith(`KUBE-LOCAL-MARK ${NODE_PORT}`),
      );
      const near = { member: NODE_PORT, server: isMarked ? `FWM/IPv4/${MARK}` : outside.server, drops: ["KUBE-DROP"] };
      expect(verdict(found, near), "from this node at the node port").toEqual(anywhere);
    }),
    { numRuns: RUNS },
  );
});

interface Copy {
  readonly ip: string;
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  readonly node: string;
}

const copy: fc.Arbitrary<Copy> = fc.record({
  ip: fc.constantFrom("10.0.0.1", "10.0.0.2", "10.0.0.3"),
  ready: fc.boolean(),
  serving: fc.boolean(),
  terminating: fc.boolean(),
  node: fc.constantFrom("a", "b"),
});

/** The content of kube-proxy's EndpointSliceCache after the slices in this order: a later copy replaces unless it terminates. */
function cachedInOrder(slices: readonly (readonly Copy[])[]): string {
  const cached: Record<string, Copy> = {};
  for (const copies of slices) {
    for (const one of copies) if (!(one.ip in cached && one.terminating)) cached[one.ip] = one;
  }
  return JSON.stringify(
    Object.keys(cached)
      .sort()
      .map((ip) => textOf(cached[ip] ?? expect.fail("no copy"))),
  );
}

function textOf({ ip, ready, serving, terminating, node }: Copy): string {
  return `${ip} ${ready} ${serving} ${terminating} ${node}`;
}

function permutations<Element>(list: readonly Element[]): readonly (readonly Element[])[] {
  if (list.length < 2) return [list];
  return list.flatMap((first, index) => permutations(list.toSpliced(index, 1)).map((rest) => [first, ...rest]));
}

test("of an address in several slices the copy is used that kube-proxy may select, in every order of the slices", () => {
  fc.assert(
    fc.property(fc.array(fc.array(copy, { maxLength: 4 }), { minLength: 1, maxLength: 3 }), (copies) => {
      const slices = copies.map((endpoints, index) => slice(`shop/web-${index}`, { endpoints, addressType: "IPv4" }));
      const found = permutations(slices).map((order) =>
        JSON.stringify(
          mergeSlices(order)
            .get(portKey("", "TCP"))
            .map((one) => textOf({ ...one, ip: one.address, node: one.nodeName })),
        ),
      );
      const [first = "[]"] = found;
      expect(new Set(found)).toEqual(new Set([first]));
      // Each address separately, as kube-proxy's order of slices may differ for each port.
      for (const ip of new Set(copies.flat().map((one) => one.ip))) {
        const possible = permutations(copies).map((order) =>
          cachedInOrder(order.map((list) => list.filter((one) => one.ip === ip))),
        );
        const ours = JSON.parse(first).filter((text: string) => text.startsWith(`${ip} `));
        expect(possible).toContain(JSON.stringify(ours));
      }
    }),
    { numRuns: 2 * RUNS },
  );
});
