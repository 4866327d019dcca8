import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Cluster, type PodEndpoint } from "../../support/node/nodes.ts";
import { serviceObject } from "../../support/objects/builders.ts";
import { FAMILY_CASES, vips } from "../../support/traffic/families.ts";

/**
 * Hints of EndpointSlices in a cluster of three zones: west has the nodes 1 and 2, east 3 and 4, south the node 5. Each
 * has one pod, from a to e in this order, which is a client and may serve.
 */
let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.create({
    nodes: [
      { pods: ["a"], zone: "west" },
      { pods: ["b"], zone: "west" },
      { pods: ["c"], zone: "east" },
      { pods: ["d"], zone: "east" },
      { pods: ["e"], zone: "south" },
    ],
  });
  await cluster.start();
});

afterAll(() => cluster?.[Symbol.asyncDispose]());

const PODS = ["a", "b", "c", "d", "e"] as const;
type PodName = (typeof PODS)[number];
const ZONES: Readonly<Record<PodName, string>> = { a: "west", b: "west", c: "east", d: "east", e: "south" };

/** The endpoint with hints as the controller writes them for trafficDistribution: the zone and the node it is in. */
const sameZone = (pod: PodName): PodEndpoint => ({ pod, zones: [ZONES[pod]] });
const sameNode = (pod: PodName): PodEndpoint => ({ pod, zones: [ZONES[pod]], nodes: [cluster.nodeOf(pod).name] });

describe.each(FAMILY_CASES)("over %s", (_, { vip, ip }) => {
  const put = (n: number, endpoints: readonly PodEndpoint[]) =>
    cluster.apply(`s${n}`, [
      serviceObject(`shop/s${n}`, { ip: vips(n), ports: [{ port: 80, nodePort: 30_000 + n }] }),
      ...cluster.slices(`shop/s${n}`, endpoints),
    ]);

  /** The pods that answer ten requests of each pod, in the order of pods. None may fail. */
  const seenBy = async (n: number, pods: readonly PodName[] = PODS) => {
    const seen: Record<string, string> = {};
    for (const pod of pods) {
      const { answers, errors } = await cluster.client(pod).tcp(vip(n), 80, 10);
      seen[pod] = [...Object.keys(answers).sort(), ...Object.keys(errors)].join(" ");
    }
    return seen;
  };

  test.each<[string, readonly PodName[], Readonly<Record<PodName, string>>]>([
    ["one endpoint in each zone", ["a", "c", "e"], { a: "a", b: "a", c: "c", d: "c", e: "e" }],
    ["endpoints on both nodes of a zone", ["a", "b", "c", "e"], { a: "a b", b: "a b", c: "c", d: "c", e: "e" }],
    ["none in one zone, whose clients get all", ["a", "c"], { a: "a", b: "a", c: "c", d: "c", e: "a c" }],
  ])("hints for zones keep requests in the zone: %s", async (_row, pods, expected) => {
    await put(1, pods.map(sameZone));
    expect(await seenBy(1)).toEqual(expected);
  });

  test("hints may assign the endpoint of one zone to the clients of another", async () => {
    await put(2, [
      { pod: "a", zones: ["west", "south"] },
      { pod: "c", zones: ["east"] },
    ]);
    expect(await seenBy(2, ["a", "c", "e"])).toEqual({ a: "a", c: "c", e: "a" });
  });

  test("an endpoint without hints disables the hints of all", async () => {
    await put(3, [sameZone("a"), "c", sameZone("e")]);
    expect(await seenBy(3, ["a", "c", "e"])).toEqual({ a: "a c e", c: "a c e", e: "a c e" });
  });

  test("hints for nodes prefer the node, then the zone, then all", async () => {
    await put(4, (["a", "c", "d"] as const).map(sameNode));
    expect(await seenBy(4)).toEqual({ a: "a", b: "a", c: "c", d: "d", e: "a c d" });
  });

  test("a node without its endpoint falls back to others, and uses it again when it returns", async () => {
    await put(5, (["a", "b", "c"] as const).map(sameNode));
    expect(await seenBy(5, ["a", "b"])).toEqual({ a: "a", b: "b" });
    await put(5, (["b", "c"] as const).map(sameNode));
    expect(await seenBy(5, ["a", "b"])).toEqual({ a: "b", b: "b" });
    await put(5, (["c"] as const).map(sameNode));
    expect(await seenBy(5, ["a", "b"])).toEqual({ a: "c", b: "c" });
    await put(5, (["a", "b", "c"] as const).map(sameNode));
    expect(await seenBy(5, ["a", "b"])).toEqual({ a: "a", b: "b" });
  });

  test("NodePorts follow the hints of the receiving node", async () => {
    await put(6, (["a", "c"] as const).map(sameZone));
    for (const [number, expected] of [
      [2, ["a"]],
      [4, ["c"]],
      [5, ["a", "c"]],
    ] as const) {
      const { node, outside } = cluster.node(number);
      const { answers, errors } = await cluster.client(outside).tcp(ip(node), 30_006, 10);
      expect({ pods: Object.keys(answers).sort(), errors }).toEqual({ pods: expected, errors: {} });
    }
  });
});
