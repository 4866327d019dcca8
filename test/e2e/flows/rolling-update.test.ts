import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Host } from "../../support/node/netns.ts";
import { Cluster, type PodEndpoint } from "../../support/node/nodes.ts";
import { serviceObject } from "../../support/objects/builders.ts";
import { eventually } from "../../support/time/eventually.ts";
import { patient } from "../../support/time/patience.ts";
import { Balancer } from "../../support/traffic/balancer.ts";
import { LongClient, type LoopAnswers } from "../../support/traffic/client.ts";
import { vips } from "../../support/traffic/families.ts";

/** Two nodes with two pods each, alternately the old and the new one; pod x, on the first, is a client. */
let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.create({ nodes: [{ pods: ["a1", "a2", "x"] }, { pods: ["b1", "b2"] }], ports: ["tcp:8080"] });
  await cluster.start();
});

afterAll(() => cluster?.[Symbol.asyncDispose]());

const ROLLOUTS = 5;
/** New connections a second of each client, on an idle host. */
const RATE = 100;
/** Fewer connections would prove little. */
const LEAST_COUNT = 200;
/** A connection is idle for so long before its request, so that some are always open when an endpoint is removed. */
const AGE_SECONDS = 0.1;
const CLUSTER_VIP = "172.16.0.1";
const LOCAL_VIP = "fd00:172::2";
const CHECK_PORT = 32_002;
/** The time in which a load balancer detects a change. */
const LAG_MS = 200;
/** They take 20 s in an idle guest. */
const TIMEOUT_MS = patient(180_000);

type Generation = readonly [onFirst: string, onSecond: string];
const OLD: Generation = ["a1", "b1"];
const NEW: Generation = ["a2", "b2"];
const ALL = ["a1", "a2", "b1", "b2"];

function put(endpoints: readonly PodEndpoint[]): Promise<void> {
  return cluster.apply("rolling", [
    serviceObject("shop/cluster", { ip: vips(1), type: "LoadBalancer", loadBalancerIPs: [CLUSTER_VIP] }),
    ...cluster.slices("shop/cluster", endpoints),
    serviceObject("shop/local", {
      ip: vips(2),
      type: "LoadBalancer",
      external: "Local",
      internal: "Local",
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
 * slices is killed as soon as its last connection has ended.
 */
async function rollOut(from: Generation, to: Generation, balancer: Balancer): Promise<void> {
  await put([leaving(from[0]), from[1]]);
  await sleep(LAG_MS);
  await balancer.check();
  await put([leaving(from[0]), to[0], from[1]]);
  await balancer.check();
  await put([to[0], leaving(from[1]), to[1]]);
  await put(to);
  for (const pod of from) {
    await eventually(async () => expect(await openConnections(pod)).toBe(""));
    await cluster.nodeOf(pod).silence(cluster.pod(pod));
    await cluster.nodeOf(pod).serve(cluster.pod(pod), pod);
  }
}

async function openConnections(pod: string): Promise<string> {
  const { namespace } = cluster.pod(pod);
  return await namespace.output(["ss", "-Htn", "state", "connected", "exclude", "time-wait", "sport", "=", ":8080"]);
}

/** The answers of clients that send requests during the rolling updates. */
async function seenMeanwhile(ways: readonly (readonly [Host, string])[]): Promise<readonly LoopAnswers[]> {
  await put(OLD);
  await using _clusterBalancer = await Balancer.create(cluster, { vip: CLUSTER_VIP, port: 80 });
  await using balancer = await Balancer.create(cluster, { vip: LOCAL_VIP, port: 80, checkPort: CHECK_PORT });
  const options = { rate: RATE, ageSeconds: AGE_SECONDS };
  const loops = await Promise.all(ways.map(([from, to]) => LongClient.loop(from.namespace, to, 80, options)));
  for (let count = 0; count < ROLLOUTS; count++) {
    const generations = count % 2 === 0 ? ([OLD, NEW] as const) : ([NEW, OLD] as const);
    await rollOut(...generations, balancer);
  }
  return await Promise.all(loops.map((client) => client.stop()));
}

/** All requests were answered by these pods, which saw these client addresses. */
function expectWhole(seen: LoopAnswers | undefined, pods: readonly string[], clients: readonly string[]): void {
  if (seen === undefined) throw new Error("There are two loops");
  const { errors, failures, resent, answers } = seen;
  expect({ errors, failures, resent }).toEqual({ errors: {}, failures: [], resent: 0 });
  expect(Object.keys(answers).sort()).toEqual(pods);
  expect(Object.keys(seen.clients).sort()).toEqual([...clients].sort());
  expect(seen.count).toBeGreaterThanOrEqual(LEAST_COUNT);
}

test("100 new connections a second through five rolling updates lose none, under both external traffic policies", {
  timeout: TIMEOUT_MS,
}, async () => {
  const { outside } = cluster.node(1);
  const [onCluster, onLocal] = await seenMeanwhile([
    [outside, CLUSTER_VIP],
    [outside, LOCAL_VIP],
  ]);
  const nodes = cluster.nodes.flatMap(({ node, gateway }) => [node.ip, gateway.ip]);
  expectWhole(onCluster, ALL, nodes);
  expectWhole(onLocal, ALL, [outside.ip6]);
});

test("100 new connections a second through five rolling updates lose none, under both internal traffic policies", {
  timeout: TIMEOUT_MS,
}, async () => {
  const pod = cluster.pod("x");
  const [onCluster, onLocal] = await seenMeanwhile([
    [pod, vips(1)[1]],
    [pod, vips(2)[0]],
  ]);
  expectWhole(onCluster, ALL, [pod.ip6]);
  expectWhole(onLocal, ["a1", "a2"], [pod.ip]);
});
