import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { TestNode } from "../test/support/node/netns.ts";
import type { Program } from "../test/support/node/program.ts";
import { patient } from "../test/support/time/patience.ts";
import { indent, seconds } from "./report.ts";

const MAIN = join(import.meta.dirname, "../src/main.ts");
const READY_WITHIN_MS = patient(60_000);
const METRICS_PORT = 10_249;
const HEALTH_PORT = 10_256;

/** Starts the agent on the node; what it logs is printed. */
export function startAgent(node: TestNode, manifests: string): Program {
  const flags = ["--manifests", manifests, "--hostname-override", node.name];
  const network = ["--cluster-cidr", "10.244.0.0/16,fd00:244::/32"];
  // The conntrack limit is the machine's, not a namespace's.
  const agent = node.node.namespace.start([
    process.execPath,
    MAIN,
    "run",
    ...flags,
    ...network,
    "--conntrack-max-per-core",
    "0",
  ]);
  agent.stdout.setEncoding("utf8").on("data", (text: string) => process.stdout.write(indent(text)));
  return agent;
}

/** Resolves when the node is programmed. */
export async function ready(node: TestNode, agent: Program): Promise<void> {
  const client = node.client(node.node);
  await until("the agent is ready", READY_WITHIN_MS, async () => {
    if (agent.exitCode !== undefined) throw new Error(`The agent ended with ${agent.exitCode}`);
    return (await client.get("127.0.0.1", HEALTH_PORT, "/readyz")).status === 200;
  });
}

/** One scrape. */
export interface Metrics {
  /** Of all samples of that name, whatever their labels. */
  sum(name: string): number;
}

export async function metrics(node: TestNode): Promise<Metrics> {
  const { body } = await node.client(node.node).get("127.0.0.1", METRICS_PORT, "/metrics");
  const samples = body.split("\n").map((line) => /^(\w+)(?:\{.*\})? (\S+)$/.exec(line) ?? []);
  const values = (name: string) => samples.filter((sample) => sample[1] === name).map((sample) => Number(sample[2]));
  return { sum: (name) => values(name).reduce((sum, value) => sum + value, 0) };
}

/** Asks until the answer is yes; throws when time is up. */
export async function until(what: string, withinMs: number, holds: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > deadlineMs) throw new Error(`Waited ${seconds(withinMs)}, but not: ${what}`);
    await sleep(20);
  }
}
