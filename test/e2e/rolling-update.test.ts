import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Balancer } from "../support/balancer.ts";
import { serviceObject } from "../support/builders.ts";
import { LongClient } from "../support/client.ts";
import { vips } from "../support/families.ts";
import { Cluster, type PodEndpoint } from "../support/nodes.ts";

/** Two nodes with two pods each, of which one is the old and one the new, in turns; pod x only asks. */
let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.create({ nodes: [{ pods: ["a1", "a2", "x"] }, { pods: ["b1", "b2"] }], ports: ["tcp:8080"] });
  await cluster.start();
});

afterAll(() => cluster?.[Symbol.asyncDispose]());

const ROLLOUTS = 5;
const RATE = 100;
const CLUSTER_VIP = "172.16.0.1";
const LOCAL_VIP = "fd00:172::2";
const CHECK_PORT = 32_002;
/** As long as a load balancer may take to notice. */
const LAG_MS = 200;

type Generation = readonly [onFirst: string, onSecond: string];

function put(endpoints: readonly PodEndpoint[]): Promise<void> {
  return cluster.apply("rolling", [
    serviceObject("shop/cluster", { ip: vips(1), type: "LoadBalancer", loadBalancerIPs: [CLUSTER_VIP] }),
    ...cluster.slices("shop/cluster", endpoints),
    serviceObject("shop/local", {
      ip: vips(2),
      type: "LoadBalancer",
      external: "Local",
      loadBalancerIPs: [LOCAL_VIP],
      healthCheckNodePort: CHECK_PORT,
    }),
    ...cluster.slices("shop/local", endpoints),
  ]);
}

const leaving = (pod: string): PodEndpoint => ({ pod, ready: false, serving: true, terminating: true });

/**
 * One pod of each node gives way to the other. On the first node it is told to end before the new one is ready: until the
 * load balancer has noticed, its clients meet a node with nothing but a terminating pod. A pod that has gone from the
 * slices is killed.
 */
async function rollOut(from: Generation, to: Generation, balancer: Balancer): Promise<void> {
  await put([leaving(from[0]), from[1]]);
  await sleep(LAG_MS);
  await balancer.check();
  await put([leaving(from[0]), to[0], from[1]]);
  await balancer.check();
  await put([to[0], leaving(from[1]), to[1]]);
  await put(to);
  // Who was given an old pod before has his answer within milliseconds.
  await sleep(100);
  for (const pod of from) {
    await cluster.nodeOf(pod).silence(cluster.pod(pod));
    await cluster.nodeOf(pod).serve(cluster.pod(pod), pod);
  }
}

test("100 new connections a second through five rolling updates lose none, for both external traffic policies", async () => {
  const [old, next]: readonly [Generation, Generation] = [
    ["a1", "b1"],
    ["a2", "b2"],
  ];
  await put(old);
  await using _clusterBalancer = await Balancer.create(cluster, { vip: CLUSTER_VIP, port: 80 });
  await using balancer = await Balancer.create(cluster, { vip: LOCAL_VIP, port: 80, checkPort: CHECK_PORT });
  const { namespace } = cluster.node(1).outside;
  const startedAtMs = performance.now();
  const loops = await Promise.all([
    LongClient.loop(namespace, CLUSTER_VIP, 80, RATE),
    LongClient.loop(namespace, LOCAL_VIP, 80, RATE),
    LongClient.loop(cluster.pod("x").namespace, vips(1)[1], 80, RATE / 5),
  ]);
  for (let count = 0; count < ROLLOUTS; count++) {
    const generations = count % 2 === 0 ? ([old, next] as const) : ([next, old] as const);
    await rollOut(...generations, balancer);
  }
  const seen = await Promise.all(loops.map((client) => client.stop()));
  const seconds = (performance.now() - startedAtMs) / 1_000;

  for (const { errors, failures, answers } of seen) {
    expect({ errors, failures }).toEqual({ errors: {}, failures: [] });
    expect(Object.keys(answers).sort()).toEqual(["a1", "a2", "b1", "b2"]);
  }
  for (const { count } of seen.slice(0, 2)) expect(count / seconds).toBeGreaterThan(RATE / 2);
  const local = seen[1]?.clients;
  expect(Object.keys(local ?? {})).toEqual([cluster.node(1).outside.ip6]);
});
