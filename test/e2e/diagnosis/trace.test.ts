import { afterAll, beforeAll, expect, test } from "vitest";
import { AgentProcess, CLUSTER_CIDR, flagsFor, kubeIpvs, ManifestFolder } from "../../support/node/agent-process.ts";
import { type Host, TestNode } from "../../support/node/netns.ts";
import { serviceObject, sliceObject } from "../../support/objects/builders.ts";
import { dropped, IN_VAIN, refused } from "../../support/traffic/answers.ts";

/** `trace` tells where a packet ends, and a client of flesh and blood finds the same. */
let node: TestNode;
let manifests: ManifestFolder;
let agent: AgentProcess;
const BALANCED = "203.0.113.5";

beforeAll(async () => {
  node = await TestNode.create({ pods: ["a", "b"] });
  manifests = await ManifestFolder.create();
  const endpoint = { ip: node.pod("a").ip, node: node.name };
  await manifests.put("shop.json", [
    serviceObject("shop/web", { ip: "10.96.0.1", ports: [{ port: 80, nodePort: 30_080 }] }),
    sliceObject("shop/web-1", { endpoints: [endpoint] }),
    serviceObject("shop/none", { ip: "10.96.0.2" }),
    serviceObject("shop/ranges", { ip: "10.96.0.3", loadBalancerIPs: [BALANCED], sourceRanges: ["192.0.2.0/24"] }),
    sliceObject("shop/ranges-1", { endpoints: [endpoint] }),
  ]);
  agent = AgentProcess.start(node, manifests, "--ipvs-sync-period", "1h");
  await agent.ready();
});

afterAll(async () => {
  await agent?.[Symbol.asyncDispose]();
  await node?.[Symbol.asyncDispose]();
  await manifests?.[Symbol.asyncDispose]();
});

const trace = (from: string, to: string) =>
  kubeIpvs(node, "trace", "--from", from, "--to", to, "--cluster-cidr", CLUSTER_CIDR);
const ask = (client: Host, address: string, port = 80) => node.client(client).tcp(address, port);
const askInVain = (client: Host, address: string, port = 80) => node.client(client).tcp(address, port, 1, IN_VAIN);

test("a packet of a pod is delivered, with its way in the order of the hooks", async () => {
  const { code, out, err } = await trace(node.pod("b").ip, "10.96.0.1:80");
  expect([code, err]).toEqual([0, ""]);
  expect(out).toMatch(/nat PREROUTING.*filter INPUT.*IPVS.*nat POSTROUTING/s);
  expect(out).toContain(`delivered to ${node.pod("a").ip}:8080 by pod0\n`);
  expect(await ask(node.pod("b"), "10.96.0.1")).toMatchObject({ answers: { a: 1 } });
});

test("a packet from outside to a NodePort is masqueraded and delivered", async () => {
  const { code, out } = await trace(node.outside.ip, `${node.node.ip}:30080/TCP`);
  expect(code).toBe(0);
  expect(out).toContain("source address replaced by rule");
  expect(await ask(node.outside, node.node.ip, 30_080)).toMatchObject({ clients: { [node.gateway.ip]: 1 } });
});

test("a Service without endpoints refuses", async () => {
  const { code, out } = await trace("node", "10.96.0.2:80");
  expect(code).toBe(2);
  expect(out).toContain("refused by IPVS: virtual server TCP/10.96.0.2:80: it has no real servers\n");
  expect(await ask(node.node, "10.96.0.2")).toEqual(refused(1));
});

test("a client outside the source ranges is dropped by the chain of source ranges", async () => {
  const { code, out } = await trace(node.outside.ip, `${BALANCED}:80`);
  expect(code).toBe(2);
  expect(out).toMatch(/dropped by rule 3 of filter\/KUBE-SOURCE-RANGES-FIREWALL "-j DROP" \(\d+ packets?\)\n$/);
});

test("a foreign DROP in INPUT is quoted with its counter", async () => {
  const rule = "-p tcp -m tcp --dport 80 -j DROP";
  await node.prints(`iptables -I INPUT 1 ${rule}`);
  try {
    expect(await askInVain(node.pod("b"), "10.96.0.1")).toEqual(dropped(1));
    const { code, out } = await trace(node.pod("b").ip, "10.96.0.1:80");
    expect(code).toBe(2);
    expect(out).toMatch(new RegExp(`dropped by rule 1 of filter/INPUT "${rule}" \\([1-9]\\d* packets?\\)\\n$`));
  } finally {
    await node.prints(`iptables -D INPUT ${rule}`);
  }
});

test("a foreign DROP in FORWARD is quoted as what drops the answer", async () => {
  const rule = `-s ${node.pod("a").ip}/32 -j DROP`;
  await node.prints(`iptables -I FORWARD 1 ${rule}`);
  try {
    expect(await askInVain(node.pod("b"), "10.96.0.1")).toEqual(dropped(1));
    const { code, out } = await trace(node.pod("b").ip, "10.96.0.1:80");
    expect(code).toBe(2);
    expect(out).toMatch(
      new RegExp(`the answer is dropped by rule 1 of filter/FORWARD "${rule}" \\([1-9]\\d* packets?\\)\\n$`),
    );
  } finally {
    await node.prints(`iptables -D FORWARD ${rule}`);
  }
});

test("a foreign set is asked in the kernel: the rule that matches by it is quoted, and no other", async () => {
  const rule = "-m set --match-set BLOCKED src -j DROP";
  const other = "-m set --match-set PORTS src,dst -j DROP";
  await node.prints(
    `ipset create BLOCKED hash:net; ipset add BLOCKED ${node.pod("b").ip}/31; ipset create PORTS hash:ip,port`,
  );
  await node.prints(`iptables -I INPUT 1 ${other}; iptables -I INPUT 2 ${rule}`);
  try {
    expect(await askInVain(node.pod("b"), "10.96.0.1")).toEqual(dropped(1));
    const { code, out } = await trace(node.pod("b").ip, "10.96.0.1:80");
    expect(code).toBe(2);
    expect(out).toMatch(new RegExp(`dropped by rule 2 of filter/INPUT "${rule}" \\([1-9]\\d* packets?\\)\\n$`));
    expect(out).not.toContain("is not evaluated");
    const passed = await trace(node.outside.ip, "10.96.0.1:80");
    expect(passed.out).not.toContain("BLOCKED");
  } finally {
    await node.prints(
      `iptables -D INPUT ${other}; iptables -D INPUT ${rule}; ipset destroy BLOCKED; ipset destroy PORTS`,
    );
  }
});

test("the same flags as those of the agent explain and trace", async () => {
  const { err } = await kubeIpvs(node, "trace", "--to", "10.96.0.1:80", ...flagsFor(node, manifests));
  expect(err).toBe("");
});
