import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { realServerKey } from "../../../src/model/kernel/ipvs.ts";
import { sumOf } from "../../support/node/agent-process.ts";
import type { Host } from "../../support/node/netns.ts";
import { Cluster, type PodEndpoint } from "../../support/node/nodes.ts";
import { type PortSpec, type ServiceSpec, serviceObject } from "../../support/objects/builders.ts";
import { address } from "../../support/objects/desired.ts";
import { allAnswered, dropped, IN_VAIN, refused } from "../../support/traffic/answers.ts";
import type { AskOptions } from "../../support/traffic/client.ts";
import { seenFlows } from "../../support/traffic/conntrack.ts";
import { FAMILY_CASES, vips } from "../../support/traffic/families.ts";

/**
 * UDP clients that always send from one port, so that their flow never ends, while Services change. Pods a and
 * c serve on the first node and b on the second; d, on the first, is a client.
 */
let cluster: Cluster;
/** Another port for each test. */
let fromPort = 12_345;

beforeAll(async () => {
  cluster = await Cluster.create({
    nodes: [{ pods: ["a", "c", "d"] }, { pods: ["b"] }],
    ports: ["udp:5353", "udp:5354", "udp:30999"],
    // Half a minute by default, which is too short for some tests on a slow host.
    flags: ["--conntrack-udp-timeout", "10m"],
  });
  await cluster.start();
});

afterAll(() => cluster?.[Symbol.asyncDispose]());

beforeEach(() => {
  fromPort++;
});

const DNS = { name: "dns", port: 53, protocol: "UDP" };

/** Sets Service number n to this port on these pods. */
function put(n: number, port: PortSpec, pods: readonly PodEndpoint[], target = 5353, said: ServiceSpec = {}) {
  return cluster.apply(`flows-${n}`, [
    serviceObject(`shop/f${n}`, { ip: vips(n), ports: [port], ...said }),
    ...cluster.slices(`shop/f${n}`, pods, { ports: [{ name: "dns", port: target, protocol: "UDP" }] }),
  ]);
}

/** Sends so many requests from the test's own source port. */
function ask(from: string | Host, address: string, port: number, count = 2, how: AskOptions = {}) {
  return cluster.client(from).udp(address, port, count, { ...how, fromPort });
}

/** The conntrack entries on the first node with the test's own source port. */
async function flows(): Promise<readonly string[]> {
  const seen = await seenFlows(cluster.node(1).shell);
  return seen.filter(({ clientPort }) => clientPort === fromPort).map(({ to, from }) => `${to} by ${from}`);
}

describe.each(FAMILY_CASES)("over %s", (family, { vip, ip }) => {
  const base = family === "IPv4" ? 100 : 150;
  const node = () => cluster.node(1).node;
  const outside = () => cluster.node(1).outside;

  test("a client of a ClusterIP follows when its endpoint is replaced, without losing a request", async () => {
    const n = base + 1;
    await put(n, DNS, ["a"]);
    expect(await ask("d", vip(n), 53)).toEqual(allAnswered({ a: 2 }, ip(cluster.pod("d"))));
    await put(n, DNS, ["b"]);
    expect(await ask("d", vip(n), 53)).toEqual(allAnswered({ b: 2 }, ip(cluster.pod("d"))));
    await put(n, DNS, ["a"]);
    expect(await ask("d", vip(n), 53)).toEqual(allAnswered({ a: 2 }, ip(cluster.pod("d"))));
  });

  test("a client of a NodePort, and a process of the node that uses a ClusterIP, follow when their endpoint is replaced", async () => {
    const n = base + 2;
    const nodePort = 30_000 + n;
    for (const pods of [["a"], ["b"], ["a"]]) {
      await put(n, { ...DNS, nodePort }, pods);
      const all = allAnswered(Object.fromEntries(pods.map((pod) => [pod, 2])));
      expect(await ask(outside(), ip(node()), nodePort)).toEqual(all);
      expect(await ask(node(), vip(n), 53)).toEqual(all);
    }
  });

  test.each(["Cluster", "Local"])(
    "clients of a load balancer's address with policy %s follow, outside and in a pod",
    async (external) => {
      const n = base + (external === "Local" ? 9 : 10);
      const loadBalancerIPs = [`172.16.1.${n}`, `fd00:172::1:${n}`];
      const address = ip({ ip: loadBalancerIPs[0] ?? "", ip6: loadBalancerIPs[1] ?? "" });
      const onPods = (...pods: readonly string[]) => put(n, DNS, pods, 5353, { loadBalancerIPs, external });
      await cluster.route(address, cluster.node(1));
      for (const pod of ["a", "c", "a"]) {
        await onPods(pod);
        for (const client of [outside(), "d"])
          expect(await ask(client, address, 53)).toEqual(allAnswered({ [pod]: 2 }));
      }
      // Of another node: under the policy Local for the clients of this one alone.
      await onPods("b");
      expect(await ask("d", address, 53)).toEqual(allAnswered({ b: 2 }));
      await onPods("c");
      for (const client of [outside(), "d"]) expect(await ask(client, address, 53)).toEqual(allAnswered({ c: 2 }));
    },
  );

  test("a client is rejected without endpoints, and answered as soon as one is ready (G-72)", async () => {
    const n = base + 3;
    await put(n, DNS, [{ pod: "a", ready: false, serving: false }]);
    expect(await ask("d", vip(n), 53)).toEqual(refused(2));
    await put(n, DNS, ["a"]);
    expect(await ask("d", vip(n), 53)).toEqual(allAnswered({ a: 2 }));
    await put(n, DNS, []);
    expect(await flows()).toEqual([]);
    expect(await ask("d", vip(n), 53)).toEqual(refused(2));
    await put(n, DNS, ["b"]);
    expect(await ask("d", vip(n), 53)).toEqual(allAnswered({ b: 2 }));
  });

  test("under the internal policy Local a client follows among the pods of its node, and is dropped without any", async () => {
    const n = base + 11;
    const leaving = { pod: "a", ready: false, serving: true, terminating: true };
    const steps: readonly [readonly PodEndpoint[], string][] = [
      [["a", "b"], "a"],
      [[leaving, "b"], "a"],
      [[leaving, "c", "b"], "c"],
      [["b"], ""],
      [["a", "b"], "a"],
    ];
    for (const [pods, expected] of steps) {
      await put(n, DNS, pods, 5353, { internal: "Local" });
      const how = expected === "" ? IN_VAIN : {};
      const answers = [await ask("d", vip(n), 53, 2, how), await ask(node(), vip(n), 53, 2, how)];
      // Linux reports to a process of the node itself that its datagram was dropped.
      const none = [dropped(2), expect.objectContaining({ answers: {} })];
      expect(answers).toEqual(expected === "" ? none : answers.map(() => allAnswered({ [expected]: 2 })));
    }
  });

  test("a client of a NodePort reaches another port of the same pod when the target port changes", async () => {
    const n = base + 4;
    const nodePort = 30_000 + n;
    for (const target of [5353, 5354]) {
      await put(n, { ...DNS, nodePort }, ["a"], target);
      expect(await ask(outside(), ip(node()), nodePort)).toEqual(allAnswered({ a: 2 }));
      expect(await flows()).toEqual([expect.stringMatching(new RegExp(`^UDP/.*:${nodePort} by .*:${target}$`))]);
    }
  });

  test("a client that began before the NodePort existed is answered and masqueraded after it is added (G-36)", async () => {
    const n = base + 5;
    const nodePort = 30_000 + n;
    await put(n, DNS, ["b"]);
    expect(await ask(outside(), ip(node()), nodePort)).toEqual(refused(2));
    expect(await flows()).toHaveLength(1);
    await put(n, { ...DNS, nodePort }, ["b"]);
    expect(await ask(outside(), ip(node()), nodePort)).toEqual(allAnswered({ b: 2 }, ip(node())));
  });

  test("a client that began before the Service existed is answered after it is added (G-36)", async () => {
    const n = base + 6;
    // The node routes unknown addresses to the outside, where no host answers.
    expect((await ask("d", vip(n), 53, 2, IN_VAIN)).answers).toEqual({});
    await put(n, DNS, ["b"]);
    expect(await ask("d", vip(n), 53)).toEqual(allAnswered({ b: 2 }, ip(cluster.pod("d"))));
  });

  test("flows to endpoints that stay keep their entries when another endpoint is removed", async () => {
    const n = base + 12;
    const stays = realServerKey(address(ip(cluster.pod("a"))), 5353);
    await put(n, DNS, ["a", "c"]);
    const asked = [await ask("d", vip(n), 53), await ask(node(), vip(n), 53)];
    const before = await flows();
    expect(before).toHaveLength(2);
    const pods = asked.flatMap(({ answers }) => Object.keys(answers));
    expect(pods.toSorted()).toEqual(["a", "c"]);
    await put(n, DNS, ["a"]);
    expect(await flows()).toEqual(before.filter((flow) => flow.endsWith(` by ${stays}`)));
    expect(await ask("d", vip(n), 53)).toEqual(allAnswered({ a: 2 }));
  });

  test("foreign flows to the same port number and flows to other Services keep their entries (G-71)", async () => {
    const [n, other] = [base + 7, base + 8];
    const nodePort = 30_999;
    await put(n, { ...DNS, nodePort }, ["a"]);
    await put(other, DNS, ["a"], 5354);
    expect(await ask("d", vip(n), 53)).toEqual(allAnswered({ a: 2 }));
    // Straight to pods: on the number of the NodePort, and where the Service will send.
    expect(await ask("d", ip(cluster.pod("b")), nodePort)).toEqual(allAnswered({ b: 2 }));
    expect(await ask("d", ip(cluster.pod("b")), 5353)).toEqual(allAnswered({ b: 2 }));
    expect(await ask("d", vip(other), 53)).toEqual(allAnswered({ a: 2 }));
    const before = await flows();
    expect(before).toHaveLength(4);
    await put(n, { ...DNS, nodePort }, ["b"]);
    await cluster.apply(`flows-${n}`, []);
    const left = before.filter((flow) => !flow.includes(vip(n)));
    expect((await flows()).toSorted()).toEqual(left.toSorted());
    expect(left).toHaveLength(3);
    const deleted = /^kubeproxy_conntrack_reconciler_deleted_entries_total/;
    expect(sumOf(await cluster.agent(cluster.node(1)).metrics(), deleted)).toBeGreaterThan(0);
  });
});
