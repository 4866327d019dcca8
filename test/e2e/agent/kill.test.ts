import { afterAll, beforeAll, expect, test } from "vitest";
import { AgentProcess, flagsFor, kubeIpvs, ManifestFolder, sumOf } from "../../support/node/agent-process.ts";
import { TestNode } from "../../support/node/netns.ts";
import { heldLines, plannedLines } from "../../support/node/witness.ts";
import { serviceObject, sliceObject } from "../../support/objects/builders.ts";
import { patient } from "../../support/time/patience.ts";
import { LongClient } from "../../support/traffic/client.ts";

/** The agent is killed at any moment. Only the kernel keeps its progress. */
let node: TestNode;
let manifests: ManifestFolder;

beforeAll(async () => {
  manifests = await ManifestFolder.create();
  node = await TestNode.create({ pods: ["a", "b", "c", "d", "e"] });
  await node.node.namespace.output(["ipvsadm", "-R"], theirs("192.0.2.1", NODE_PORTS));
  // In another network namespace, at our own addresses, and more than one page of them.
  await node.outside.namespace.output(["ipvsadm", "-R"], theirs("192.168.1.10", [...NODE_PORTS, ...MORE_PORTS]));
});

afterAll(async () => {
  await node?.[Symbol.asyncDispose]();
  await manifests?.[Symbol.asyncDispose]();
});

const STEADY = "10.96.0.1";
const MOVING = "10.96.0.2";
/** The minimum of kills; more follow until enough of them have hit the kernel between two states. */
const KILLS = 12;
const MOST_KILLS = 40;
const CAUGHT = 4;

/** NodePorts of Services here, and ports of foreign virtual servers. */
const NODE_PORTS = Array.from({ length: 40 }, (_, index) => 30_000 + 10 * index);
const MORE_PORTS = Array.from({ length: 300 }, (_, index) => 20_000 + index);

/** Foreign virtual servers at one address, as `ipvsadm -Sn` prints them. */
function theirs(address: string, ports: readonly number[]): string {
  const lines = ports.flatMap((port) => [
    `-A -u ${address}:${port} -s sh`,
    `-a -u ${address}:${port} -r 10.9.9.9:9090 -m -w 7`,
  ]);
  return lines.map((line) => `${line}\n`).join("");
}

type State = 0 | 1;

/**
 * Two states of a cluster of some 400 Services with 4 endpoints each: what is in one alone comes or goes with each
 * change, what is in both changes its endpoints, its affinity or nothing. UDP, since that leaves at once.
 */
function cluster(state: State): readonly object[] {
  const crowd = Array.from({ length: 300 }, (_, index) => index + state * 100).flatMap((number) => {
    const changes = number % 3;
    const first = changes === 0 ? state * 2 : 0;
    const endpoints = [0, 1, 2, 3].map((offset) => `10.244.9.${first + offset + 1}`);
    const affinity = changes === 1 && state === 1 ? { affinity: 600 } : {};
    return [
      serviceObject(`crowd/s${number}`, {
        ip: `10.97.${number >> 8}.${number & 255}`,
        ports: [{ port: 53, protocol: "UDP", ...(number % 10 === 0 && { nodePort: 30_000 + number }) }],
        ...affinity,
      }),
      sliceObject(`crowd/s${number}-1`, { ports: [{ port: 53, protocol: "UDP" }], endpoints }),
    ];
  });
  const moving = (state === 0 ? ["a", "b"] : ["b", "c"]).map((name) => node.pod(name).ip);
  return [
    ...crowd,
    serviceObject("shop/steady", { ip: STEADY }),
    sliceObject("shop/steady-1", { endpoints: ["a", "b"].map((name) => node.pod(name).ip) }),
    serviceObject("shop/moving", { ip: MOVING }),
    sliceObject("shop/moving-1", { endpoints: moving }),
  ];
}

/** The state of the kernel; of the Service with moving TCP connections, without draining servers. */
async function held(): Promise<readonly string[]> {
  const drains = (line: string) => line.startsWith(`-a -t ${MOVING}:80 `) && line.endsWith(" -w 0");
  return (await heldLines(node.shell)).filter((line) => !drains(line) && !isTheirs(line)).toSorted();
}

const isTheirs = (line: string) => line.includes(" 192.0.2.1:");

/** The foreign virtual servers, here and in the other network namespace. */
async function others(): Promise<string> {
  const elsewhere = await node.outside.namespace.output(["ipvsadm", "-Sn"]);
  return [...(await heldLines(node.shell)).filter(isTheirs), ...elsewhere.split("\n")].toSorted().join("\n");
}

async function planned(state: State): Promise<readonly string[]> {
  await manifests.put("cluster.json", cluster(state));
  const addresses = [node.node, node.gateway].flatMap(({ ip, ip6 }) => [ip, ip6]);
  const { out } = await kubeIpvs(node, "plan", ...flagsFor(node, manifests), "--node-ip", addresses.join());
  return plannedLines(out).toSorted();
}

const isCrowd = (line: string) => line.includes(" 10.97.");
const crowdText = (lines: readonly string[]) => lines.filter(isCrowd).join("\n");
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function startAgent(): AgentProcess {
  return AgentProcess.start(node, manifests, "-v", "4");
}

/** The progress of the sync at a kill: nothing written yet, under way, or all written. */
type Moment = "before" | "during" | "after";

/**
 * When to kill, in ms after the agent has said what it is about. How soon it writes then depends on the machine and its
 * load, so each kill tells the next one where to aim: later, earlier, or somewhere else in the same sync.
 */
class Aim {
  #delayMs: number;
  #stepMs = 80;
  #sign = 1;

  constructor(delayMs: number) {
    this.#delayMs = delayMs;
  }

  get delayMs(): number {
    return Math.max(0, this.#delayMs);
  }

  correct(moment: Moment): void {
    if (moment === "during") this.#sign = -this.#sign;
    else this.#sign = moment === "before" ? 1 : -1;
    this.#delayMs = this.delayMs + this.#sign * this.#stepMs;
    this.#stepMs = Math.max(30, this.#stepMs * 0.8);
  }
}

/** Starts an agent and lets it finish its first sync; also, how long that took from its first lists on. */
async function startAndSync(): Promise<{ readonly agent: AgentProcess; readonly tookMs: number }> {
  const agent = startAgent();
  await agent.logged("first lists complete");
  const startedAtMs = performance.now();
  await agent.logged("first sync complete");
  return { agent, tookMs: performance.now() - startedAtMs };
}

/** Kills an agent that has just been started on another state. */
async function killAtStart(state: State, delayMs: number): Promise<void> {
  await manifests.put("cluster.json", cluster(state));
  const agent = startAgent();
  await agent.logged("first lists complete");
  await sleep(delayMs);
  await agent.kill();
}

/** Kills an agent that was at rest and has just read another state. */
async function killAtChange(state: State, delayMs: number): Promise<void> {
  const { agent } = await startAndSync();
  await manifests.put("cluster.json", cluster(state));
  await agent.logged("manifest read", 2);
  await sleep(delayMs);
  await agent.kill();
}

test("a SIGKILL at any moment of a sync costs no connection, the next start reaches the desired state, the one after writes nothing, and foreign objects stay", {
  timeout: patient(480_000),
}, async () => {
  const wanted = [await planned(1), await planned(0)].reverse();
  const theirsBefore = await others();
  const { agent: first, tookMs } = await startAndSync();
  expect(await held()).toEqual(wanted[0]);
  await first.kill();

  // One pod for each Service: IPVS mixes up what one client sends from one port to the same pods through two of them.
  const clients = [
    [node.pod("d").namespace, STEADY],
    [node.pod("e").namespace, MOVING],
  ] as const;
  const holding = await Promise.all(clients.map(([from, to]) => LongClient.hold(from, to, 80)));
  const looping = await Promise.all(clients.map(([from, to]) => LongClient.loop(from, to, 80)));

  let state: State = 0;
  let caught = 0;
  const whole = wanted.map(crowdText);
  let before = whole[0];
  // Most of a start is the preparing of the node; the sync is its end.
  const ways = [
    { kill: killAtStart, aim: new Aim(tookMs - 100) },
    { kill: killAtChange, aim: new Aim(60) },
  ] as const;
  for (let kills = 0; kills < MOST_KILLS && (kills < KILLS || caught < CAUGHT); kills++) {
    const { kill, aim } = ways[kills % 2 === 0 ? 0 : 1];
    if (kill === killAtChange) before = whole[state];
    state = state === 0 ? 1 : 0;
    await kill(state, aim.delayMs);
    const now = crowdText(await held());
    const moment = now === whole[state] ? "after" : now === before ? "before" : "during";
    aim.correct(moment);
    if (moment === "during") caught++;
    before = now;
  }
  expect(caught, "kills in the midst of a sync").toBeGreaterThanOrEqual(CAUGHT);

  const { agent: last } = await startAndSync();
  expect(await held()).toEqual(wanted[state]);
  await last[Symbol.asyncDispose]();

  const { agent: idle } = await startAndSync();
  expect(sumOf(await idle.metrics(), /^kube_ipvs_operations_total\{(?!operation="forget-flows")/)).toBe(0);
  expect(await held()).toEqual(wanted[state]);
  expect(await others()).toBe(theirsBefore);
  await idle[Symbol.asyncDispose]();

  const looped = await Promise.all(looping.map((client) => client.stop()));
  const kept = await Promise.all(holding.map((client) => client.stop()));
  for (const { count, errors, failures } of [...looped, ...kept]) {
    expect({ errors, failures }).toEqual({ errors: {}, failures: [] });
    expect(count).toBeGreaterThan(100);
  }
  for (const { resent } of looped) expect(resent).toBe(0);
});
