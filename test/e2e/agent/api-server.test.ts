import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { ControlPlane } from "../../support/api/worlds/control-plane.ts";
import { AgentProcess, flagsFor, kubeIpvs, sumOf } from "../../support/node/agent-process.ts";
import { TestNode } from "../../support/node/netns.ts";
import { heldLines, plannedLines } from "../../support/node/witness.ts";
import { nodeObject, serviceObject, sliceObject } from "../../support/objects/builders.ts";
import { eventually } from "../../support/time/eventually.ts";
import { patient } from "../../support/time/patience.ts";
import { LongClient } from "../../support/traffic/client.ts";

/** The whole agent with an API server over TLS that has all faults of a real one. */
let node: TestNode;

beforeAll(async () => {
  node = await TestNode.create({ pods: ["a", "b", "c"] });
});

afterAll(async () => {
  await node?.[Symbol.asyncDispose]();
});

/** Without draining, so that the kernel state depends on the API alone. */
const AT_ONCE = ["--drain-timeout", "0s"];
/** Without the cable and the ends of the pods' links, which a plan does not have. */
const NODE_PORTS = ["--nodeport-addresses", "192.168.1.0/24,fd00:192:1::/64"];

const IP = "10.96.3.1";
const OTHER = "10.96.3.2";

/** A Service "shop/web" whose endpoints are these pods. */
function web(...pods: readonly string[]): readonly object[] {
  const endpoints = pods.map((pod) => ({ ip: node.pod(pod).ip, node: node.name }));
  return [serviceObject("shop/web", { ip: IP }), sliceObject("shop/web-1", { endpoints })];
}

const other = () => [
  serviceObject("shop/other", { ip: OTHER }),
  sliceObject("shop/other-1", { endpoints: [node.pod("c").ip] }),
];

/** The lines of ipvsadm for that Service, from the API's objects. */
function lines(ip: string, ...pods: readonly string[]): readonly string[] {
  const reals = pods.map((pod) => `-a -t ${ip}:80 -r ${node.pod(pod).ip}:8080 -m -w 1`);
  return [`-A -t ${ip}:80 -s rr`, ...reals].toSorted();
}

async function held(): Promise<readonly string[]> {
  const text = await node.prints("ipvsadm -Sn");
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .toSorted();
}

const addresses = async () =>
  (await heldLines(node.shell)).filter((line) => line.startsWith("address ")).map((line) => line.slice(8));

/** Waits between attempts double up to a minute, which an agent may reach on a slow host. */
const LIMIT = { timeout: patient(120_000) };

/** Retries until it holds. */
const soon = (claim: () => Promise<void>) => eventually(claim, { withinMs: 90_000 });
const eventuallyHeld = (expected: readonly string[]) =>
  soon(async () => expect(await held()).toEqual(expected.toSorted()));

async function plane(
  ...options: Parameters<typeof ControlPlane.create> extends [unknown, ...infer Rest] ? Rest : never
) {
  const made = await ControlPlane.create(node, ...options);
  onTestFinished(() => made[Symbol.asyncDispose]());
  made.put(nodeObject(node.name, { ips: [node.node.ip, node.node.ip6] }));
  return made;
}

/** The agent as it is shipped. */
function agentOf(one: ControlPlane, ...more: readonly string[]): AgentProcess {
  const agent = AgentProcess.start(node, one, "-v", "4", ...AT_ONCE, ...more);
  onTestFinished(() => agent[Symbol.asyncDispose]());
  return agent;
}

const lists = async (agent: AgentProcess, resource: string) =>
  (await agent.metrics()).get(`kube_ipvs_watch_lists_total{resource="${resource}"}`);

test.each([
  ["from its sources", AgentProcess.startSources],
  ["as it ships", AgentProcess.start],
])("the agent %s follows what is created, changed and deleted, and so does traffic", async (_, start) => {
  const one = await plane();
  one.put(...web("a"));
  const agent = start(node, one, ...AT_ONCE, ...NODE_PORTS);
  onTestFinished(() => agent[Symbol.asyncDispose]());
  await agent.ready();
  expect(await held()).toEqual(lines(IP, "a"));
  expect(await addresses()).toEqual([IP]);
  const client = node.client(node.pod("c"));
  expect((await client.tcp(IP, 80, 3)).answers).toEqual({ a: 3 });

  one.put(...other());
  await eventuallyHeld([...lines(IP, "a"), ...lines(OTHER, "c")]);
  one.put(...web("a", "b"));
  await eventuallyHeld([...lines(IP, "a", "b"), ...lines(OTHER, "c")]);
  expect(Object.keys((await client.tcp(IP, 80, 4)).answers).sort()).toEqual(["a", "b"]);
  one.delete("Service", "shop/other");
  one.put(...web("b"));
  await eventuallyHeld(lines(IP, "b"));

  // Everything came by watches: each list was read once, and the node has exactly the objects of the plan.
  for (const resource of ["services", "endpointslices", "nodes"]) expect(await lists(agent, resource)).toBe(1);
  const plan = await kubeIpvs(node, "plan", ...flagsFor(node, one), ...NODE_PORTS);
  expect(plan.err).toBe("");
  expect((await heldLines(node.shell)).toSorted()).toEqual(plannedLines(plan.out).toSorted());
});

describe("a server that goes away", LIMIT, () => {
  test("interrupts nothing; changes and deletions meanwhile are applied, and lost history costs one list", async () => {
    const one = await plane();
    one.put(...web("a"), ...other());
    const agent = agentOf(one);
    await agent.ready();
    const connection = await LongClient.hold(node.pod("c").namespace, IP, 80);
    const before = await held();

    await one.kill();
    one.put(...web("a", "b"));
    one.delete("Service", "shop/other");
    one.delete("EndpointSlice", "shop/other-1");
    one.model.store.forgetHistory();
    expect(await held()).toEqual(before);
    await one.revive();
    await eventuallyHeld(lines(IP, "a", "b"));
    expect(await lists(agent, "services")).toBe(2);
    expect(await lists(agent, "endpointslices")).toBe(2);
    expect(sumOf(await agent.metrics(), /^kube_ipvs_watch_endings_total\{.*reason="410"/)).toBeGreaterThan(0);
    const { errors, count } = await connection.stop();
    expect(errors).toEqual({});
    expect(count).toBeGreaterThan(5);
  });

  test("behind an unplugged cable loses no change after it is plugged in again", async () => {
    const one = await plane();
    one.put(...web("a"), ...other());
    const agent = agentOf(one);
    await agent.ready();
    const before = await held();
    await node.prints("ip link set cable down");
    one.put(...web("a", "b"));
    one.delete("Service", "shop/other");
    expect(await held()).toEqual(before);
    await node.prints("ip link set cable up");
    await eventuallyHeld(lines(IP, "a", "b"));
    expect(await lists(agent, "services")).toBe(1);
  });

  test("is replaced by the next configured server, without a list", async () => {
    const one = await plane();
    const first = one.server;
    const second = await one.serve();
    one.put(...web("a"));
    const agent = agentOf(one);
    await agent.ready();
    expect(second.connections).toBe(0);

    await first.close();
    one.put(...web("b"));
    await eventuallyHeld(lines(IP, "b"));
    expect(second.connections).toBeGreaterThan(0);
    expect(await lists(agent, "services")).toBe(1);
  });
});

describe("at its start the agent", LIMIT, () => {
  test("deletes nothing while no server can be reached, and reports it", async () => {
    const one = await plane();
    one.put(...web("a", "b"), ...other());
    const before = agentOf(one);
    await before.ready();
    const whole = await held();
    await before.kill();

    await one.kill();
    one.delete("Service", "shop/other");
    const agent = agentOf(one, "--ipvs-sync-period", "1s");
    const resyncs = async () => (await agent.metrics()).get("kube_ipvs_resync_duration_seconds_count") ?? 0;
    await soon(async () => expect(await resyncs()).toBeGreaterThanOrEqual(2));
    expect(await held()).toEqual(whole);
    const { status, body } = await agent.readyz();
    expect(status).toBe(503);
    expect(JSON.parse(body).reason).toMatch(
      /^waiting for the first lists: .*services.* \(https:\S+: connect ECONNREFUSED \S+: check that the API server runs, .*\)$/,
    );

    await one.revive();
    await eventuallyHeld(lines(IP, "a", "b"));
  });

  test("deletes nothing while its credentials are rejected, and reports it", async () => {
    const one = await plane();
    one.put(...web("a"));
    const before = agentOf(one);
    await before.ready();
    await before.kill();

    await one.credentials({ ca: "a", token: "outdated" });
    one.model.behaviour.tokens = new Map();
    one.delete("Service", "shop/web");
    const agent = agentOf(one, "--ipvs-sync-period", "1s");
    const reason = async () => JSON.parse((await agent.readyz()).body || "{}").reason;
    await soon(async () =>
      expect(await reason()).toMatch(/services.* \(401: check the token or the client certificate of the agent\)$/),
    );
    expect(await held()).toEqual(lines(IP, "a"));
    one.model.behaviour.tokens = undefined;
    await eventuallyHeld([]);
  });
});

test("tokens, client certificates and authorities that rotate interrupt nothing", LIMIT, async () => {
  const one = await plane({ clientCertificate: "a" });
  await one.credentials({ ca: "a", client: "a", token: "first" });
  one.model.behaviour.tokens = new Map([["first", "system:node-proxier"]]);
  one.put(...web("a"));
  const agent = agentOf(one);
  await agent.ready();

  // The token: the old one is rejected from now on.
  await one.credentials({ ca: "a", client: "a", token: "second" });
  one.model.behaviour.tokens = new Map([["second", "system:node-proxier"]]);
  one.model.endWatches("end");
  one.put(...web("a", "b"));
  await eventuallyHeld(lines(IP, "a", "b"));

  // The certificates, on both sides.
  await one.kill();
  await one.credentials({ ca: "b", client: "b", token: "second" });
  one.put(...web("b"));
  await one.revive({ certificate: "b", clientCertificate: "b" });
  await eventuallyHeld(lines(IP, "b"));
  expect(await lists(agent, "services")).toBe(1);
});
