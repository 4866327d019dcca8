import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AgentProcess, flagsFor, kubeIpvs, ManifestFolder, sumOf } from "../../support/node/agent-process.ts";
import { TestNode } from "../../support/node/netns.ts";
import { heldLines } from "../../support/node/witness.ts";
import { serviceObject, sliceObject } from "../../support/objects/builders.ts";
import { eventually } from "../../support/time/eventually.ts";
import { patient } from "../../support/time/patience.ts";
import { LongClient } from "../../support/traffic/client.ts";
import { vips } from "../../support/traffic/families.ts";

/**
 * How VIPs are bound: what another program does to routes of the agent, and the change from addresses to routes and back.
 * The agent resyncs once at the start and then not for ten minutes, so that it follows events alone.
 */
let node: TestNode;
let manifests: ManifestFolder;

const COUNT = 40;
const VIPS = Array.from({ length: COUNT }, (_, index) => vips(index + 1)).flat();
const FLAGS = {
  address: ["--ipvs-sync-period", "10m"],
  route: ["--ipvs-sync-period", "10m", "--vip-binding", "route"],
};

beforeAll(async () => {
  manifests = await ManifestFolder.create();
  node = await TestNode.create({ pods: ["a", "client"] });
  const services = Array.from({ length: COUNT }, (_, index) => {
    const name = `shop/web-${index}`;
    return [
      serviceObject(name, { ip: vips(index + 1) }),
      sliceObject(`${name}-4`, { endpoints: [{ ip: node.pod("a").ip, node: node.name }] }),
      sliceObject(`${name}-6`, { endpoints: [{ ip: node.pod("a").ip6, node: node.name }] }),
    ];
  });
  await manifests.put("all.json", services.flat());
});

afterAll(async () => {
  await node?.[Symbol.asyncDispose]();
  await manifests?.[Symbol.asyncDispose]();
});

const soon = (claim: () => Promise<void>) => eventually(claim, { withinMs: 45_000, everyMs: 50 });
const held = async (kind: "address" | "route") =>
  (await heldLines(node.shell)).flatMap((line) => (line.startsWith(`${kind} `) ? [line.slice(kind.length + 1)] : []));
const SORTED = VIPS.toSorted();

/** The VIPs are bound in this way, and in no other. */
async function expectBound(kind: "address" | "route"): Promise<void> {
  expect((await held(kind)).toSorted()).toEqual(SORTED);
  expect(await held(kind === "route" ? "address" : "route")).toEqual([]);
}

describe("with --vip-binding=route", () => {
  let agent: AgentProcess;

  beforeAll(async () => {
    agent = AgentProcess.start(node, manifests, ...FLAGS.route);
    await agent.ready();
    // The monitor reports changes a moment after its start.
    await soon(async () => expect(await node.prints("pgrep -x -f 'ip -o monitor address route'")).not.toBe(""));
  });

  afterAll(() => agent?.[Symbol.asyncDispose]());

  test.each([
    ["one route of IPv4", "ip route del local 10.96.0.1 dev lo table local proto 173"],
    ["one route of IPv6", "ip -6 route del local fd00:96::1 dev lo table local proto 173"],
    ["all of IPv4", "ip route flush table local proto 173"],
    ["all of IPv6", "ip -6 route flush table local proto 173"],
    ["those of IPv6, because lo goes down and up", "ip link set lo down; ip link set lo up"],
  ])("routes that are lost come back: %s", { timeout: patient(120_000) }, async (_, harm) => {
    await expectBound("route");
    const repaired = async () => sumOf(await agent.metrics(), /^kube_ipvs_drift_total\{.*object="address"/);
    const before = await repaired();
    await node.prints(harm);
    await soon(() => expectBound("route"));
    await soon(async () => expect(await repaired()).toBeGreaterThan(before));
  });

  test("an address on kube-ipvs0 beside the route, and a route that no Service needs, are removed", async () => {
    await node.prints("ip addr add 10.96.0.1/32 dev kube-ipvs0; ip addr add fd00:96::1/128 dev kube-ipvs0 nodad");
    await node.prints("ip route add local 10.96.9.9 dev lo table local proto 173 metric 173");
    await soon(() => expectBound("route"));
    expect((await node.client(node.pod("client")).tcp("10.96.0.1", 80)).answers).toEqual({ a: 1 });
  });

  test("routes of other programs to the same addresses stay, and the node serves the VIP all the same", async () => {
    const others = [
      "ip route append local 10.96.0.2 dev lo table local proto 99",
      "ip -6 route append local fd00:96::2 dev lo table local proto 99",
    ];
    await node.prints(others.join("; "));
    await node.prints("ip route flush table local proto 173; ip -6 route flush table local proto 173");
    await soon(() => expectBound("route"));
    const list = "ip -o route show table local proto 99; ip -o -6 route show table local proto 99";
    expect((await node.prints(list)).trim().split("\n")).toHaveLength(2);
    for (const ip of vips(2)) expect((await node.client(node.pod("client")).tcp(ip, 80)).answers).toEqual({ a: 1 });
    await node.prints("ip route flush table local proto 99; ip -6 route flush table local proto 99");
  });

  test("diff prints nothing, and then what differs, as input of ip -batch", async () => {
    const command = [...flagsFor(node, manifests), "--vip-binding", "route"];
    expect(await kubeIpvs(node, "diff", ...command)).toEqual({ code: 0, out: "", err: "" });
    const { code, out } = await kubeIpvs(node, "diff", ...flagsFor(node, manifests));
    expect(code).toBe(2);
    for (const ip of VIPS) {
      const length = ip.includes(":") ? 128 : 32;
      expect(out).toContain(`+ address add ${ip}/${length} dev kube-ipvs0`);
      expect(out).toContain(`- route add local ${ip}/${length} dev lo table local proto 173 metric 173`);
    }
    const { out: plan } = await kubeIpvs(node, "plan", ...command);
    const routes = plan.split("\n").filter((line) => line.startsWith("route add "));
    // iproute2 accepts the lines as they are.
    await node.prints("ip route flush table local proto 173; ip -6 route flush table local proto 173");
    await node.prints(`ip -force -batch - <<'END'\n${routes.join("\n")}\nEND\ntrue`);
    await soon(() => expectBound("route"));
  });
});

/** Each request over the connection was answered; else its time is shown. */
async function expectUnbroken(client: LongClient): Promise<void> {
  const { errors, failures } = await client.stop();
  expect({ errors, failures }).toEqual({ errors: {}, failures: [] });
}

test("after a restart with the other binding all VIPs are bound in this way, and no connection ends or waits", {
  timeout: patient(300_000),
}, async () => {
  const { namespace } = node.pod("client");
  const kept = vips(1).map((ip) => LongClient.hold(namespace, ip, 80));
  const begun = vips(3).map((ip) => LongClient.loop(namespace, ip, 80, { rate: 50 }));
  {
    await using _agent = AgentProcess.start(node, manifests, ...FLAGS.route);
    await _agent.ready();
    await expectBound("route");
  }
  const clients = await Promise.all(kept);
  const loops = await Promise.all(begun);
  for (const binding of ["address", "route", "address", "route"] as const) {
    await using agent = AgentProcess.start(node, manifests, ...FLAGS[binding]);
    await agent.ready();
    await expectBound(binding);
  }
  for (const client of clients) await expectUnbroken(client);
  for (const loop of loops) {
    const { errors, failures, resent } = await loop.stop();
    expect({ errors, failures, resent }).toEqual({ errors: {}, failures: [], resent: 0 });
  }
});

test("rollback turns routes into the addresses that kube-proxy knows, and connections go on", async () => {
  const client = await LongClient.hold(node.pod("client").namespace, "10.96.0.1", 80);
  const { code, out, err } = await kubeIpvs(node, "rollback", ...flagsFor(node, manifests));
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(out).toContain(`replaced ${VIPS.length} routes of VIPs by addresses`);
  await expectBound("address");
  await expectUnbroken(client);
});

test("cleanup removes our routes and no other", async () => {
  {
    await using agent = AgentProcess.start(node, manifests, ...FLAGS.route);
    await agent.ready();
  }
  await node.prints(
    "ip route add local 10.96.0.200 dev lo table local proto 99; ip route add 10.9.9.0/24 dev eth0 proto 173",
  );
  const before = await node.prints("ip -o -N route show table all | grep -v 'proto 173 .*metric 173'");
  const { code, out, err } = await kubeIpvs(node, "cleanup", ...flagsFor(node, manifests));
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(out).toContain(`deleted ${VIPS.length} routes of VIPs`);
  expect(await held("route")).toEqual([]);
  expect(await node.prints("ip -o -N route show table all")).toBe(before);
});
