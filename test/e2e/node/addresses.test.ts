import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AgentProcess, ManifestFolder } from "../../support/node/agent-process.ts";
import { TestNode } from "../../support/node/netns.ts";
import { serviceObject, sliceObject } from "../../support/objects/builders.ts";
import { eventually } from "../../support/time/eventually.ts";
import { patient } from "../../support/time/patience.ts";

/**
 * How the agent handles addresses of the node that are added and removed. It resyncs once at the start and then not for
 * ten minutes, so that it follows events alone.
 */
let node: TestNode;
let manifests: ManifestFolder;
let agent: AgentProcess;
const CHECK_PORT = 32_100;

beforeAll(async () => {
  manifests = await ManifestFolder.create();
  node = await TestNode.create({ pods: ["a"] });
  await manifests.put("all.json", [
    serviceObject("shop/web", { ip: ["10.96.0.1", "fd00:96::1"], ports: [{ port: 80, nodePort: 30_080 }] }),
    sliceObject("shop/web-4", { endpoints: [node.pod("a").ip] }),
    sliceObject("shop/web-6", { endpoints: [node.pod("a").ip6] }),
    serviceObject("shop/checked", {
      ip: ["10.96.0.2", "fd00:96::2"],
      type: "LoadBalancer",
      external: "Local",
      healthCheckNodePort: CHECK_PORT,
    }),
    sliceObject("shop/checked-4", { endpoints: [{ ip: node.pod("a").ip, node: node.name }] }),
    sliceObject("shop/checked-6", { endpoints: [{ ip: node.pod("a").ip6, node: node.name }] }),
  ]);
  const networks = ["192.168.1.0/24", "fd00:192:1::/64", "10.96.0.0/16", "fd00:96::/64"];
  const selection = ["--nodeport-addresses", networks.join()];
  agent = AgentProcess.start(node, manifests, "--ipvs-sync-period", "10m", ...selection);
  await agent.ready();
});

afterAll(async () => {
  await agent?.[Symbol.asyncDispose]();
  await node?.[Symbol.asyncDispose]();
  await manifests?.[Symbol.asyncDispose]();
});

/** Retries until it holds. No periodic resync runs meanwhile; a requested one may be slow in a busy guest. */
const soon = (claim: () => Promise<void>) => eventually(claim, { withinMs: 45_000, everyMs: 20 });
/** The pod that answers one request from the host outside. */
const answers = async (ip: string, port = 30_080) => (await node.client(node.outside).tcp(ip, port)).answers;
/** The answer of the health check node port there; 0: none. */
const checked = async (ip: string) => (await node.client(node.outside).get(ip, CHECK_PORT, "/")).status;
/** The number of open health check node ports: one on each of the node's own addresses. */
const listening = async () => (await agent.metrics()).get('kube_ipvs_health_check_ports{state="listening"}');
const servers = () => node.prints("ipvsadm -Sn");
/** Of the real servers of a virtual server; 0 while the last connections end. */
async function weights(key: string): Promise<readonly string[]> {
  const lines = (await servers()).split("\n").filter((line) => line.startsWith(`-a -t ${key} `));
  return lines.map((line) => line.split(" -w ")[1] ?? "");
}

describe.each([
  ["IPv4", "192.168.1.77", 24, "192.168.1.77:30080"],
  ["IPv6", "fd00:192:1::77", 64, "[fd00:192:1::77]:30080"],
])("an address of the node, %s", (_, ip, prefix, key) => {
  const change = (verb: "add" | "del") =>
    node.prints(`ip addr ${verb} ${ip}/${prefix} dev eth0 ${verb === "add" && prefix === 64 ? "nodad" : ""}`);

  test("that is new serves NodePorts and health check node ports (G-38), and accepts no new connections after it is removed", async () => {
    for (let round = 0; round < 2; round++) {
      await change("add");
      await soon(async () => expect(await weights(key)).toEqual(["1"]));
      expect(await answers(ip)).toEqual({ a: 1 });
      await soon(async () => expect(await checked(ip)).toBe(200));
      await change("del");
      await soon(async () => expect(await weights(key)).not.toContain("1"));
      await soon(async () => expect(await listening()).toBe(2));
    }
  });
});

test("VIPs serve no NodePorts, even if they are in a network of --nodeport-addresses (G-26)", async () => {
  for (const ip of ["10.96.0.1", "fd00:96::1"]) {
    const client = node.client(node.pod("a"));
    expect((await client.tcp(ip, 30_080)).errors).toEqual({ refused: 1 });
    expect((await client.tcp(ip, 80)).answers).toEqual({ a: 1 });
  }
  const said = await servers();
  expect(said).toContain("-A -t 192.168.1.10:30080 ");
  for (const at of ["10.96.0.1", "[fd00:96::1]"]) expect(said).not.toContain(`${at}:30080`);
});

const listener = async () => (await node.prints("pgrep -x -f 'ip -o monitor address'")).trim();

test("a killed listener is restarted, and changes meanwhile are not missed", async () => {
  const before = await listener();
  await node.prints(`kill -9 ${before}; ip addr add 192.168.1.78/24 dev eth0`);
  await soon(async () => expect(await listener()).not.toBe(before));
  await soon(async () => expect(await servers()).toContain("192.168.1.78:30080"));
  expect(await answers("192.168.1.78")).toEqual({ a: 1 });
});

test("more changes than a listener can handle end no process, and the last of them are followed", async () => {
  const pid = await listener();
  const batch = ["add", "del"].flatMap((verb) =>
    Array.from({ length: 1_000 }, (_, index) => `addr ${verb} 10.20.${index >> 8}.${index & 255}/32 dev lo`),
  );
  await node.prints(`kill -STOP ${pid}`);
  await node.prints(`ip -batch - <<'END'\n${batch.join("\n")}\nEND`);
  await node.prints(`ip addr add 192.168.1.79/24 dev eth0; kill -CONT ${pid}`);
  await soon(async () => expect(await servers()).toContain("192.168.1.79:30080"));
  expect(await servers()).not.toContain("10.20.");
  expect(await listener()).toBe(pid);
});

test("VIPs that another program removes, one or with their interface, are bound again", {
  timeout: patient(120_000),
}, async () => {
  for (const harm of ["ip addr del 10.96.0.1/32 dev kube-ipvs0", "ip link del kube-ipvs0"]) {
    await node.prints(harm);
    await soon(async () => {
      const text = await node.prints("ip -o addr show dev kube-ipvs0");
      expect(text).toContain("10.96.0.1/32");
      expect(text).toContain("fd00:96::1/128");
    });
    expect(await answers("10.96.0.1", 80)).toEqual({ a: 1 });
  }
});
