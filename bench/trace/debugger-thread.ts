/**
 * The thread in which the Recorder debugs the main thread. V8's precise coverage gives the functions of src/ that run;
 * a breakpoint at the start of each of them gives the order of their calls, and the callers.
 */
import { type Debugger, Session } from "node:inspector/promises";
import { relative } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parentPort } from "node:worker_threads";
import { patient } from "../../test/support/time/patience.ts";
import { Functions, parametersLength, type SourceFunction } from "./functions.ts";
import type { Call, Command, Recording } from "./recorder.ts";

const SRC = new URL("../../src/", import.meta.url);
/** The agent is at rest when no function of src/ ran for so long: longer than the second between two probes for virtual servers. */
const REST_MS = 2000;
const PERIOD_MS = 250;
const PATIENCE_MS = patient(60_000);
/** The head of a loop up to its variable, where V8 does not break if the loop is empty. */
const LOOP_VARIABLE = /\bfor (?:await )?\((?:const|let) (?:(?! of ).)*$/;

const session = new Session();
const functions = new Functions();
const breakpoints = new Map<Debugger.BreakpointId, SourceFunction>();
const calls: Call[] = [];

session.on("Debugger.scriptParsed", ({ params: { scriptId, url } }) => {
  if (url.startsWith(SRC.href)) functions.files.set(scriptId, relative(fileURLToPath(SRC), fileURLToPath(url)));
});

session.on("Debugger.paused", ({ params: { callFrames, hitBreakpoints = [] } }) => {
  const [, ...callers] = callFrames.map(({ location }) => functions.files.get(location.scriptId));
  const called = breakpoints.get(hitBreakpoints[0] ?? "");
  if (called !== undefined)
    calls.push({
      file: called.file,
      name: functions.nameOf(called),
      caller: callers.find((file) => file !== undefined),
    });
  void session.post("Debugger.resume");
});

session.connectToMainThread();
parentPort?.on("message", (command: Command) => {
  // A rejection ends this thread, and with it the trace.
  void perform(command).then((recording) => parentPort?.postMessage(recording));
});

async function perform(command: Command): Promise<Recording | undefined> {
  switch (command) {
    case "load":
      await session.post("Debugger.enable");
      await session.post("Profiler.enable");
      await session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: false });
      return undefined;
    case "cover":
      await ranUntilRest();
      return undefined;
    case "order":
      for (const one of await ranUntilRest()) await breakAt(one);
      return undefined;
    case "end": {
      const ran = await ranUntilRest();
      const ordered = new Set(calls.map(({ file }) => file));
      return { calls, missed: [...new Set([...ran].map(({ file }) => file))].filter((file) => !ordered.has(file)) };
    }
  }
}

/** Resolves, when the agent is at rest, to the functions that ran since the last call. */
async function ranUntilRest(): Promise<ReadonlySet<SourceFunction>> {
  const ran = new Set<SourceFunction>();
  for (let restMs = 0, waitedMs = 0; restMs < REST_MS; waitedMs += PERIOD_MS) {
    await setTimeout(PERIOD_MS);
    const { result } = await session.post("Profiler.takePreciseCoverage");
    const counted = functions.counted(result);
    for (const one of counted) ran.add(one);
    restMs = counted.length === 0 ? restMs + PERIOD_MS : 0;
    if (waitedMs > PATIENCE_MS) throw new Error(`The agent is not at rest: ${counted.map(({ id }) => id).join(", ")}`);
  }
  return ran;
}

async function breakAt(called: SourceFunction): Promise<void> {
  const { scriptId, startOffset, endOffset } = called;
  const { scriptSource } = await session.post("Debugger.getScriptSource", { scriptId });
  const lines = scriptSource.split("\n");
  const locationOf = (offset: number): Debugger.Location => {
    const before = scriptSource.slice(0, offset).split("\n");
    return { scriptId, lineNumber: before.length - 1, columnNumber: before.at(-1)?.length ?? 0 };
  };
  const body = startOffset + parametersLength(scriptSource.slice(startOffset, endOffset));
  const [start, end] = [locationOf(body), locationOf(endOffset)];
  const { locations } = await session.post("Debugger.getPossibleBreakpoints", { start, end });
  const location = locations.find(
    ({ lineNumber, columnNumber }) => !LOOP_VARIABLE.test(lines[lineNumber]?.slice(0, columnNumber) ?? ""),
  );
  // Fields without a value have no code.
  if (location === undefined) return;
  const { breakpointId } = await session.post("Debugger.setBreakpoint", { location });
  breakpoints.set(breakpointId, called);
}
