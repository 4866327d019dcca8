import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Cluster, type PodEndpoint } from "../../support/node/nodes.ts";
import { serviceObject } from "../../support/objects/builders.ts";
import { allAnswered } from "../../support/traffic/answers.ts";
import { FAMILY_CASES, vips } from "../../support/traffic/families.ts";

/** The health checks of a load balancer: pod a is on the first node, c on the second. */
let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.create({ nodes: [{ pods: ["a"] }, { pods: ["c"] }] });
  await cluster.start();
});

afterAll(() => cluster?.[Symbol.asyncDispose]());

const CHECK_PORT = 32_100;
const NODE_PORT = 30_100;

function put(external: "Local" | "Cluster", pods: readonly PodEndpoint[]): Promise<void> {
  const only = external === "Local" ? { healthCheckNodePort: CHECK_PORT } : {};
  return cluster.apply("checked", [
    serviceObject("shop/checked", {
      ip: vips(100),
      type: "LoadBalancer",
      ports: [{ port: 80, nodePort: NODE_PORT }],
      external,
      ...only,
    }),
    ...cluster.slices("shop/checked", pods),
  ]);
}

describe.each(FAMILY_CASES)("over %s", (_, { ip }) => {
  /** The answer of each node: [0, 0] if neither listens. */
  function statuses(): Promise<readonly number[]> {
    return Promise.all(
      cluster.nodes.map(async ({ node, outside }) => {
        const { status } = await cluster.client(outside).get(ip(node), CHECK_PORT, "/");
        return status;
      }),
    );
  }

  test("the nodes with ready endpoints answer 200 while the pods move, the others 503", async () => {
    await put("Local", ["a"]);
    expect(await statuses()).toEqual([200, 503]);
    await put("Local", ["c"]);
    expect(await statuses()).toEqual([503, 200]);
    await put("Local", ["a", "c"]);
    expect(await statuses()).toEqual([200, 200]);
    await put("Local", []);
    expect(await statuses()).toEqual([503, 503]);
  });

  test("a node with terminating endpoints alone answers 503, and still serves", async () => {
    await put("Local", [{ pod: "a", ready: false, serving: true, terminating: true }]);
    expect(await statuses()).toEqual([503, 503]);
    const { node, outside } = cluster.node(1);
    expect(await cluster.client(outside).tcp(ip(node), NODE_PORT, 2)).toEqual(allAnswered({ a: 2 }));
  });

  test("no node listens while the external policy is Cluster", async () => {
    await put("Local", ["a"]);
    expect(await statuses()).toEqual([200, 503]);
    await put("Cluster", ["a"]);
    expect(await statuses()).toEqual([0, 0]);
    await put("Local", ["a"]);
    expect(await statuses()).toEqual([200, 503]);
  });

  test("no node listens after the Service changes to another type", async () => {
    await put("Local", ["a"]);
    expect(await statuses()).toEqual([200, 503]);
    await cluster.apply("checked", [
      serviceObject("shop/checked", { ip: vips(100), type: "ClusterIP" }),
      ...cluster.slices("shop/checked", ["a"]),
    ]);
    expect(await statuses()).toEqual([0, 0]);
  });
});
