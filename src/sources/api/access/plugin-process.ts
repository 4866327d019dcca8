import { type ChildProcess, spawn } from "node:child_process";
import type { Clock } from "../../../model/time/clock.ts";
import { LimitedWait } from "../../../model/time/limited-wait.ts";
import { clipped } from "../transport/clipped.ts";

/** The time limit of a plugin, which may send requests to a remote identity provider. */
const DEADLINE_MS = 30_000;
const MAX_OUTPUT_BYTES = 1024 * 1024;

export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

/**
 * Runs a program without input and returns its output. The program has its own process group, so that no child of a shell
 * script survives. The group is killed at the deadline, when the signal is aborted, when the output is too long, and when
 * this process ends. Rejects with a reason that begins with a verb and has the begin of the output to stderr.
 */
export async function runProgram(program: Program, clock: Clock, signal: AbortSignal): Promise<string> {
  signal.throwIfAborted();
  const { child, release } = startTied(program);
  const run = new LimitedWait(signal);
  let why = `did not finish within ${DEADLINE_MS / 1000} s`;
  const stdout = collected(child.stdout, MAX_OUTPUT_BYTES, () => {
    why = `printed more than ${MAX_OUTPUT_BYTES} bytes`;
    run.end();
  });
  const stderr = collected(child.stderr, MAX_OUTPUT_BYTES, () => undefined);
  let outcome: Outcome | undefined;
  child.on("error", (error) => {
    outcome = { reason: `cannot be started: ${error.message}`, exitCode: 1, result: "plugin_not_found_error" };
    run.end();
  });
  child.once("close", (code, killedBy) => {
    const reason = code === 0 ? "" : endingText(code, killedBy, stderr());
    outcome ??= { reason, exitCode: code ?? 1, result: reason === "" ? "no_error" : "plugin_execution_error" };
    run.end();
  });
  await run.atMost(DEADLINE_MS, clock);
  release();
  if (outcome === undefined) abandon(child);
  signal.throwIfAborted();
  const { reason, exitCode, result } = outcome ?? { reason: why, exitCode: 1, result: "plugin_execution_error" };
  if (reason !== "") throw new PluginError(reason, exitCode, result);
  return stdout();
}

/** The result of a run of a plugin in the words of client-go. */
export type PluginResult = "no_error" | "plugin_execution_error" | "plugin_not_found_error" | "client_internal_error";

/** A plugin that could not be started, or that failed. `exitCode` is 1 if it has none, as in client-go. */
export class PluginError extends Error {
  override readonly name = "PluginError";
  readonly exitCode: number;
  readonly result: PluginResult;

  constructor(reason: string, exitCode: number, result: PluginResult) {
    super(reason);
    this.exitCode = exitCode;
    this.result = result;
  }
}

function start({ command, args, env }: Program) {
  try {
    return spawn(command, args, { env, stdio: ["ignore", "pipe", "pipe"], detached: true });
  } catch (error) {
    // An argument is too long or has a NUL. The message is dropped, because it shows the value, which may be secret.
    const code = error instanceof Error && "code" in error ? error.code : "unknown error";
    throw new Error(`cannot be started: its arguments or variables cannot be passed: ${code}`);
  }
}

interface Outcome {
  /** "" for success. */
  readonly reason: string;
  readonly exitCode: number;
  readonly result: PluginResult;
}

function endingText(code: number | null, killedBy: string | null, stderr: string): string {
  const ending = killedBy === null ? `ended with exit code ${code}` : `was killed by ${killedBy}`;
  return stderr.trim() === "" ? ending : `${ending}: ${clipped(stderr)}`;
}

/** Collects a stream. When it has more than `maxBytes` bytes, calls `onFull` and drops the rest. */
function collected(stream: NodeJS.ReadableStream, maxBytes: number, onFull: () => void): () => string {
  const chunks: Buffer[] = [];
  let bytes = 0;
  stream.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= maxBytes) chunks.push(chunk);
    else onFull();
  });
  return () => Buffer.concat(chunks).toString();
}

/** Kills the group and stops waiting, because a process that left the group may keep the pipes open. */
function abandon(child: ChildProcess): void {
  killGroup(child);
  child.stdout?.destroy();
  child.stderr?.destroy();
  child.unref();
}

/** Kills the group. Has no effect after the end of its leader, because the number may belong to another process. */
function killGroup({ pid, exitCode, signalCode }: ChildProcess): void {
  if (pid === undefined || exitCode !== null || signalCode !== null) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // The group ended just now.
  }
}

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Starts a program and kills its group when this process ends, until `release` is called. Signals of a terminal do not
 * reach the group. The listeners are added before the start, because a signal during the start would end only this
 * process.
 */
function startTied(program: Program) {
  let child: ReturnType<typeof start> | undefined;
  const onExit = () => child && killGroup(child);
  const onSignal = (name: NodeJS.Signals) => {
    onExit();
    release();
    // Another listener handles the signal for this process. Without another listener, the default action follows.
    if (process.listenerCount(name) === 0) process.kill(process.pid, name);
  };
  const release = () => {
    process.off("exit", onExit);
    for (const name of SIGNALS) process.off(name, onSignal);
  };
  process.on("exit", onExit);
  for (const name of SIGNALS) process.on(name, onSignal);
  try {
    child = start(program);
  } catch (error) {
    release();
    throw error;
  }
  return { child, release };
}
