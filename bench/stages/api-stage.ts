/**
 * Measures one program with one cluster behind an API server, in the network namespace of this process:
 * `node bench/stages/api-stage.ts SPEC`, where SPEC is a StageSpec as JSON. Prints events, one JSON text a line.
 */

import { sizeText } from "../report/size.ts";
import { oneChange } from "../scenarios/change.ts";
import { churn } from "../scenarios/churn.ts";
import { coldStart } from "../scenarios/cold.ts";
import { drainNode } from "../scenarios/drain.ts";
import { idle } from "../scenarios/idle.ts";
import { layOutLeftovers, startOnState } from "../scenarios/restart.ts";
import { rollingUpdate } from "../scenarios/rolling.ts";
import { addAndDelete } from "../scenarios/service.ts";
import { type Stage, type StageSpec, send } from "../scenarios/stage.ts";
import { Running } from "../subjects/running.ts";
import { commandOf } from "../subjects/subject.ts";
import { NODE, World } from "../world/world.ts";

/** The scenarios of a program that has done its cold start, in this order. */
const AFTER_START = [
  ["idle", idle],
  ["change", oneChange],
  ["service", addAndDelete],
  ["rolling", rollingUpdate],
  ["churn", churn],
  ["drain", drainNode],
] as const;

// The parent gives a spec that it has made itself.
const spec: StageSpec = JSON.parse(process.argv[2] ?? "");

/** Runs one scenario; a failure is reported, and the next scenario runs. */
async function attempt<Result>(scenario: string, work: () => Promise<Result>): Promise<Result | undefined> {
  send({ kind: "progress", text: scenario });
  try {
    return await work();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    send({ kind: "failed", subject: spec.subject.name, size: sizeText(spec.size), scenario, reason });
    return undefined;
  }
}

async function runScenarios(stage: Stage): Promise<void> {
  if (spec.leftovers !== undefined) {
    layOutLeftovers(spec.leftovers);
    await attempt("takeover", () => startOnState(stage, "takeover", 0));
    return;
  }
  const running = await attempt("cold", () => coldStart(stage));
  if (running === undefined) return;
  for (const [name, scenario] of AFTER_START) {
    if (spec.scenarios.includes(name)) await attempt(name, () => scenario(stage, running));
  }
  if (!spec.scenarios.includes("restart")) return;
  await running.stop();
  await attempt("restart", () => startOnState(stage, "warm restart", 5000));
}

async function run(): Promise<void> {
  await using world = await World.start(spec.size, spec.subject);
  if (spec.subject.kind === "keepalived") throw new Error("keepalived reads no API server");
  const argv = commandOf(spec.subject, world.kubeconfig, NODE.name);
  const started: Running[] = [];
  const start = async () => {
    const running = await Running.start(argv, spec.logFile, { KUBECONFIG: world.kubeconfig });
    started.push(running);
    return running;
  };
  try {
    await runScenarios({ spec, world, start });
  } finally {
    for (const running of started) await running.stop();
  }
}

await run();
