import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AgentProcess, ManifestFolder } from "../../support/node/agent-process.ts";
import { type Host, TestNode } from "../../support/node/netns.ts";
import { type ServiceSpec, serviceObject, sliceObject } from "../../support/objects/builders.ts";
import { eventually } from "../../support/time/eventually.ts";
import { patient } from "../../support/time/patience.ts";
import type { Answers } from "../../support/traffic/client.ts";
import { canSpeakSCTP, unloadSCTP } from "../../support/traffic/sctp.ts";

/**
 * Associations through Services, from outside, from a pod that serves nothing (c) and from the node. By its slices pod b
 * runs on another node. Clients of SCTP need its module; Services do not, so the module is unloaded at the end.
 */
let node: TestNode;
let manifests: ManifestFolder;
let agent: AgentProcess;

const FAMILIES = [
  ["IPv4", ({ ip }: Host) => ip, "10.96.0.", "203.0.113.", "10.244.1.1"],
  ["IPv6", ({ ip6 }: Host) => ip6, "fd00:96::", "2001:db8:2::", "fd00:244:1::1"],
] as const;

function exposed(name: string, number: number, said: ServiceSpec): readonly object[] {
  const endpoints = (ipOf: (host: Host) => string) =>
    ["a", "b"].map((pod) => ({ ip: ipOf(node.pod(pod)), node: pod === "b" ? "elsewhere" : node.name, ready: true }));
  const ports = [{ port: 3868, protocol: "SCTP" }];
  return [
    serviceObject(`shop/${name}`, {
      type: "LoadBalancer",
      ip: FAMILIES.map(([, , clusterIP]) => `${clusterIP}${number}`),
      loadBalancerIPs: FAMILIES.map(([, , , balancer]) => `${balancer}${number}`),
      ports: [{ port: 38, protocol: "SCTP", nodePort: 30_000 + number }],
      ...said,
    }),
    ...FAMILIES.map(([family, ipOf]) =>
      sliceObject(`shop/${name}-${family.at(-1)}`, { ports, endpoints: endpoints(ipOf) }),
    ),
  ];
}

describe.runIf(canSpeakSCTP())("SCTP", () => {
  beforeAll(async () => {
    manifests = await ManifestFolder.create();
    node = await TestNode.create({ pods: ["a", "b", "c"], ports: ["sctp:3868"] });
    await manifests.put("all.json", [...exposed("cluster", 1, {}), ...exposed("local", 2, { external: "Local" })]);
    agent = AgentProcess.start(node, manifests);
    await agent.ready();
  });

  afterAll(async () => {
    await agent?.[Symbol.asyncDispose]();
    await node?.[Symbol.asyncDispose]();
    await manifests?.[Symbol.asyncDispose]();
    unloadSCTP();
  });

  const seen = ({ answers, clients, errors }: Answers) => ({
    pods: Object.keys(answers).sort(),
    clients: Object.keys(clients),
    errors,
  });
  const answered = (pods: readonly string[], client: string) => ({ pods, clients: [client], errors: {} });

  describe.each(FAMILIES)("over %s", (_, ipOf, clusterIP, balancer, gateway) => {
    const ask = async (host: Host, at: string, port: number) => seen(await node.client(host).sctp(at, port, 4));
    const pod = () => node.pod("c");

    test("reaches a ClusterIP from a pod, which keeps its address, and from the node", async () => {
      expect(await ask(pod(), `${clusterIP}1`, 38)).toEqual(answered(["a", "b"], ipOf(pod())));
      expect(await ask(node.node, `${clusterIP}1`, 38)).toEqual(answered(["a", "b"], gateway));
    });

    test("reaches a load balancer and a NodePort from outside, masqueraded", async () => {
      expect(await ask(node.outside, `${balancer}1`, 38)).toEqual(answered(["a", "b"], gateway));
      expect(await ask(node.outside, ipOf(node.node), 30_001)).toEqual(answered(["a", "b"], gateway));
    });

    test("keeps the client's address under the policy Local, at local endpoints alone", async () => {
      expect(await ask(node.outside, `${balancer}2`, 38)).toEqual(answered(["a"], ipOf(node.outside)));
      expect(await ask(node.outside, ipOf(node.node), 30_002)).toEqual(answered(["a"], ipOf(node.outside)));
    });

    test("reaches all endpoints under the policy Local from this node", async () => {
      expect(await ask(pod(), `${balancer}2`, 38)).toEqual(answered(["a", "b"], ipOf(pod())));
      expect(await ask(node.node, ipOf(node.node), 30_002)).toEqual(answered(["a", "b"], gateway));
    });
  });

  test("the kernel drops the first attempt from a client port that has just been used, and the next one is answered", async () => {
    const client = node.client(node.pod("c"));
    const again = () => client.sctp("10.96.0.1", 38, 1, { fromPort: 40_001, timeoutSeconds: patient(30_000) / 1_000 });
    const [first, second] = [await again(), await again()];
    expect([first.errors, second.errors]).toEqual([{}, {}]);
    // The client sends its INIT again after three seconds.
    expect(second.slowest).toBeGreaterThan(2.5);
  });

  test("a client that begins before its Service is programmed is answered at a next attempt", async () => {
    // Without the Service its address is somewhere behind the router, which drops the packets.
    const ips = ["10.96.0.3", "fd00:96::3"];
    await node.outside.namespace.output(["ip", "-batch", "-"], ips.map((ip) => `route add blackhole ${ip}\n`).join(""));
    await node.prints(`ip route add 10.96.0.3 via ${node.outside.ip}; ip route add fd00:96::3 via ${node.outside.ip6}`);
    const clients = [node.pod("c"), node.node].flatMap((host) =>
      ips.map((ip) => node.client(host).sctp(ip, 38, 1, { timeoutSeconds: patient(60_000) / 1_000 })),
    );
    await eventually(async () => {
      const flows = await node.prints("conntrack -L -p sctp -f ipv4; conntrack -L -p sctp -f ipv6");
      expect(flows.match(/dport=38 \[UNREPLIED\]/g)).toHaveLength(4);
    });
    await manifests.put("late.json", exposed("late", 3, {}));
    for (const { answers, errors } of await Promise.all(clients)) {
      expect(errors).toEqual({});
      expect(Object.values(answers)).toEqual([1]);
    }
  });
});
