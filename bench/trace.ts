/**
 * `node bench/trace.ts [FILE]`, and `npm run trace`: runs the agent in this process, follows one change of an endpoint through the
 * code, writes the page into FILE (docs/trace.md) and prints it. Exits with 1 when the way is longer than its limits.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pageOf, stepsOf } from "./trace/page.ts";
import { purposeOf } from "./trace/purpose.ts";
import { Recorder, type Recording } from "./trace/recorder.ts";
import { wayOf } from "./trace/way.ts";

const ROOT = join(import.meta.dirname, "..");
const MOST_STEPS = 45;
/** Calls of agent.ts by one file. */
const MOST_RETURNS = 2;

async function record(): Promise<Recording> {
  const recorder = await Recorder.load();
  const { TracedAgent } = await import("./trace/traced-agent.ts");
  await using agent = new TracedAgent();
  await agent.start();
  await recorder.cover();
  agent.addEndpoint("10.244.1.4");
  await recorder.order();
  agent.addEndpoint("10.244.1.5");
  return await recorder.end();
}

const { calls, missed } = await record();
if (missed.length > 0) throw new Error(`The first change did not pass ${missed.join(", ")}: run the trace again`);
const way = wayOf(calls);
const page = pageOf(way, (file) => purposeOf(file, readFileSync(join(ROOT, "src", file), "utf8")));
const [, , file = join(ROOT, "docs/trace.md")] = process.argv;
writeFileSync(file, page);
process.stdout.write(page);

const steps = stepsOf(way.before).length;
const faults = [
  ...(steps > MOST_STEPS ? [`${steps} steps are more than ${MOST_STEPS}`] : []),
  ...[...way.returns]
    .filter(([, { length }]) => length > MOST_RETURNS)
    .map(([file, { length }]) => `${file} calls agent.ts ${length} times, more than ${MOST_RETURNS}`),
];
for (const fault of faults) process.stderr.write(`${fault}\n`);
process.exitCode = faults.length > 0 ? 1 : 0;
