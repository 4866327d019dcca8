import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Host } from "../../support/node/netns.ts";
import { Cluster } from "../../support/node/nodes.ts";
import { serviceObject } from "../../support/objects/builders.ts";
import { FAMILY_CASES, vips } from "../../support/traffic/families.ts";

/**
 * How pods are recognised, in a cluster of two nodes whose pods are on a bridge: a and b on the first, c and d on the
 * second. Both Services have the endpoints a and c; the external policy of the second is Local.
 */
let cluster: Cluster;

const PORTS = [
  { name: "tcp", port: 80 },
  { name: "udp", port: 80, protocol: "UDP" },
];
const TARGETS = [
  { name: "tcp", port: 8080 },
  { name: "udp", port: 8080, protocol: "UDP" },
];

beforeAll(async () => {
  cluster = await Cluster.create({
    nodes: [{ pods: ["a", "b"] }, { pods: ["c", "d"] }],
    bridge: "cni0",
    ports: ["tcp:8080", "udp:8080"],
  });
  const slices = (name: string) => cluster.slices(name, ["a", "c"], { ports: TARGETS });
  const local = { external: "Local", ports: PORTS.map((port) => ({ ...port, nodePort: 30_002 })) };
  await cluster.apply("all", [
    ...[serviceObject("shop/s1", { ip: vips(1), ports: PORTS }), ...slices("shop/s1")],
    ...[serviceObject("shop/s2", { ip: vips(2), ...local }), ...slices("shop/s2")],
  ]);
  for (const vip of vips(1)) await cluster.route(vip, cluster.node(1));
});

afterAll(() => cluster?.[Symbol.asyncDispose]());

describe.each([
  ["their bridge", ["--detect-local-mode", "BridgeInterface", "--pod-bridge-interface", "cni0"]],
  ["the network of their node", ["--detect-local-mode", "NodeCIDR"]],
] as const)("pods known by %s", (_known, flags) => {
  beforeAll(() => cluster.start(...flags));
  afterAll(() => Promise.all(cluster.nodes.map((node) => cluster.stop(node))));

  describe.each(FAMILY_CASES)("over %s", (_, { vip, ip }) => {
    const pod = (name: string) => ip(cluster.pod(name));
    const node = (number: number) => cluster.node(number).node;
    const outside = (number: number) => cluster.node(number).outside;

    describe.each(["tcp", "udp"] as const)("by %s", (protocol) => {
      const ask = async (from: string | Host, to: string, port: number) => {
        const { answers, clients, errors } = await cluster.client(from).request(protocol, to, port, 4);
        return { answers, clients: Object.keys(clients).sort(), errors };
      };
      const both = { a: 2, c: 2 };
      const seenAs = (answers: Readonly<Record<string, number>>, ...clients: readonly string[]) => ({
        answers,
        clients: clients.toSorted(),
        errors: {},
      });

      test("keep their address to a ClusterIP, and all other clients are masqueraded", async () => {
        for (const name of ["b", "d"]) expect(await ask(name, vip(1), 80)).toEqual(seenAs(both, pod(name)));
        for (const number of [1, 2]) {
          const masked = [ip(node(number)), ip(cluster.node(number).gateway)];
          expect(await ask(node(number), vip(1), 80)).toEqual(seenAs(both, ...masked));
        }
        const masked = [ip(node(1)), ip(cluster.node(1).gateway)];
        expect(await ask(outside(1), vip(1), 80)).toEqual(seenAs(both, ...masked));
      });

      test("get all endpoints at their own node under the external policy Local, and clients outside the local one", async () => {
        expect(await ask("b", ip(node(1)), 30_002)).toEqual(seenAs(both, pod("b")));
        expect(await ask(outside(1), ip(node(1)), 30_002)).toEqual(seenAs({ a: 4 }, ip(outside(1))));
      });

      test("at another node are clients from outside", async () => {
        expect(await ask("d", ip(node(1)), 30_002)).toEqual(seenAs({ a: 4 }, pod("d")));
      });
    });
  });
});
