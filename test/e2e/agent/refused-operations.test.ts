import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { NODE_FLAGS } from "../../../build.ts";
import { ControlPlane } from "../../support/api/worlds/control-plane.ts";
import { AgentProcess, flagsFor, kubeIpvs } from "../../support/node/agent-process.ts";
import { TestNode } from "../../support/node/netns.ts";
import { mayClockBeSet } from "../../support/node/wall-clock.ts";
import { nodeObject, serviceObject, sliceObject } from "../../support/objects/builders.ts";
import { BUNDLE } from "../../support/run/bundle.ts";
import { eventually } from "../../support/time/eventually.ts";

/** A failed operation is reported with its cause in the log, in an Event of its Service and in /readyz until it ends. */
let node: TestNode;
let plane: ControlPlane;

const OFTEN = ["--ipvs-sync-period", "2s", "--ipvs-min-sync-period", "0s"];
const soon = (claim: () => void | Promise<void>) => eventually(claim, { withinMs: 40_000, everyMs: 100 });

beforeAll(async () => {
  node = await TestNode.create({ pods: ["a"] });
  plane = await ControlPlane.create(node);
});

afterAll(async () => {
  await plane?.[Symbol.asyncDispose]();
  await node?.[Symbol.asyncDispose]();
});

beforeEach(() => {
  plane.deleteAll();
  plane.model.events.events.clear();
  plane.put(nodeObject(node.name, { ips: [node.node.ip] }));
});

/** Checks that the text is in every place that an operator reads. */
async function isNamed(agent: AgentProcess, service: string, sentence: string): Promise<void> {
  await soon(async () => {
    const { status, body } = await agent.readyz();
    expect([status, JSON.parse(body).reason]).toEqual([503, expect.stringContaining(sentence)]);
    const events = [...plane.model.events.events.values()].filter(({ reason }) => reason === "FailedToProgram");
    expect(events).toMatchObject([{ type: "Warning", regarding: { kind: "Service", name: service }, note: sentence }]);
  });
  expect(agent.log.split("operation failed")).toHaveLength(2);
  expect(agent.log).toContain(JSON.stringify(sentence));
  expect(agent.log).not.toContain("operation no longer fails");
}

async function isOver(agent: AgentProcess): Promise<void> {
  await agent.ready();
  await agent.logged("operation no longer fails");
}

test("a real server at the broadcast address of a network of the node is reported until its slice is corrected", async () => {
  await using agent = AgentProcess.start(node, plane, ...OFTEN);
  const slice = (ip: string) => sliceObject("shop/web-1", { endpoints: [ip] });
  plane.put(serviceObject("shop/web", { ip: "10.96.0.1" }), slice("192.168.1.255"));
  const sentence =
    'Cannot add real server "192.168.1.255:8080" of "TCP/10.96.0.1:80": EINVAL: the address is broadcast, multicast or link-local: correct the EndpointSlice';
  await isNamed(agent, "web", sentence);
  plane.put(slice(node.pod("a").ip));
  await isOver(agent);
});

test.skipIf(!mayClockBeSet)(
  "a virtual server whose scheduler is not loaded is reported until its module is loaded (where modules do not load by themselves)",
  async () => {
    await using agent = AgentProcess.start(node, plane, ...OFTEN, "--ipvs-scheduler", "ovf");
    plane.put(serviceObject("shop/web", { ip: "10.96.0.1" }));
    const cure = 'ENOENT: the kernel has no scheduler "ovf": run "modprobe ip_vs_ovf" on the node';
    await isNamed(agent, "web", `Cannot update virtual server "TCP/10.96.0.1:80": ${cure}`);
    await node.prints("modprobe ip_vs_ovf");
    await isOver(agent);
  },
);

test("the log of a process without its capability names the capability", async () => {
  const rights = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-all"];
  await using agent = AgentProcess.of(node, node.node.namespace.start([...rights, ...command()]));
  await agent.logged("kernel request failed");
  expect(agent.log).toContain("EPERM (the process lacks CAP_NET_ADMIN: add the capability");
});

describe("an IPv6 address where net/ipv6/conf/default/disable_ipv6 is 1", () => {
  const bound = () => node.prints("ip -o addr show dev kube-ipvs0");
  const isDisabled = async () => (await node.prints("cat /proc/sys/net/ipv6/conf/kube-ipvs0/disable_ipv6")).trim();

  beforeEach(async () => {
    await node.prints("echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6; ip link del kube-ipvs0 || true");
    plane.put(serviceObject("shop/web", { ip: ["10.96.0.1", "fd00:96::1"] }));
  });

  test("is bound by an agent that may write sysctls, also if another program sets the sysctl for kube-ipvs0", async () => {
    await using agent = AgentProcess.start(node, plane, ...OFTEN);
    await agent.ready();
    expect(await bound()).toContain("fd00:96::1/128");
    await node.prints("echo 1 >/proc/sys/net/ipv6/conf/kube-ipvs0/disable_ipv6");
    await soon(async () =>
      expect([await isDisabled(), await bound()]).toEqual(["0", expect.stringContaining("fd00:96::1/128")]),
    );
    expect(agent.log).not.toContain("operation failed");
  });

  test("is reported by an agent that may not write sysctls, until init sets it", async () => {
    await using agent = AgentProcess.of(node, node.node.namespace.start([...READ_ONLY_SYSCTLS, ...command()]));
    const cure =
      "net/ipv6/conf/kube-ipvs0/disable_ipv6 is 1: set it to 0, or delete the pod, its init container sets it";
    await isNamed(agent, "web", `Cannot bind address "fd00:96::1": EACCES: ${cure}`);
    expect(await bound()).toContain("10.96.0.1/32");
    const { code, out } = await kubeIpvs(node, "init", "--conntrack-max-per-core", "0");
    expect([code, out]).toEqual([0, expect.stringContaining("set net/ipv6/conf/kube-ipvs0/disable_ipv6 from 1 to 0")]);
    await isOver(agent);
    expect(await bound()).toContain("fd00:96::1/128");
  });

  test("is bound if init runs before the agent, as init creates the interface", async () => {
    expect((await kubeIpvs(node, "init", "--conntrack-max-per-core", "0")).out).toContain(
      'created interface "kube-ipvs0"',
    );
    await using agent = AgentProcess.of(node, node.node.namespace.start([...READ_ONLY_SYSCTLS, ...command()]));
    await agent.ready();
    expect(await bound()).toContain("fd00:96::1/128");
    expect(agent.log).not.toContain("operation failed");
  });
});

/** Like in containers that are not privileged. */
const READ_ONLY_SYSCTLS = [
  ...["unshare", "--mount", "--propagation", "private", "sh", "-euc"],
  ...['mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys; exec "$@"', "container"],
];

function command(): readonly string[] {
  const lock = `XTABLES_LOCKFILE=/run/xtables-${node.name}.lock`;
  return ["env", lock, process.execPath, ...NODE_FLAGS, BUNDLE, "run", ...flagsFor(node, plane), ...OFTEN];
}
