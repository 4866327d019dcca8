import { type ChildProcess, spawn } from "node:child_process";
import type { Clock } from "../../../model/clock.ts";
import { clipped } from "../transport/clipped.ts";

/** A plugin may have to ask an identity provider far away. */
const DEADLINE_MS = 30_000;
const MAX_OUTPUT_BYTES = 1024 * 1024;

export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

/**
 * Runs a program without input, and answers what it printed. It has a deadline, and a process group of its own, which is killed
 * at the deadline, when the signal is aborted, when it prints without end, and with this process: a shell script leaves no
 * child behind. Rejects with a reason that begins with a verb, and for a failure with the begin of what was printed to stderr.
 */
export async function runProgram(program: Program, clock: Clock, signal: AbortSignal): Promise<string> {
  signal.throwIfAborted();
  const { child, release } = startTied(program);
  const over = new AbortController();
  const end = () => over.abort();
  signal.addEventListener("abort", end, { signal: over.signal });
  let why = `gave no answer within ${DEADLINE_MS / 1000} s`;
  const stdout = collected(child.stdout, MAX_OUTPUT_BYTES, () => {
    why = `printed more than ${MAX_OUTPUT_BYTES} bytes`;
    end();
  });
  const stderr = collected(child.stderr, MAX_OUTPUT_BYTES, () => undefined);
  let outcome: Outcome | undefined;
  child.on("error", (error) => {
    outcome = { reason: `cannot be started: ${error.message}` };
    end();
  });
  child.once("close", (code, killedBy) => {
    outcome ??= { reason: code === 0 ? "" : endingText(code, killedBy, stderr()) };
    end();
  });
  await clock.sleep(DEADLINE_MS, over.signal);
  end();
  release();
  if (outcome === undefined) abandon(child);
  signal.throwIfAborted();
  const { reason } = outcome ?? { reason: why };
  if (reason !== "") throw new Error(reason);
  return stdout();
}

function start({ command, args, env }: Program) {
  try {
    return spawn(command, args, { env, stdio: ["ignore", "pipe", "pipe"], detached: true });
  } catch (error) {
    // Too long, or with a NUL in it. The message of the error shows the value, which may be secret.
    const code = error instanceof Error && "code" in error ? error.code : "unknown error";
    throw new Error(`cannot be started: its arguments or variables cannot be passed: ${code}`);
  }
}

interface Outcome {
  /** "" for success. */
  readonly reason: string;
}

function endingText(code: number | null, killedBy: string | null, stderr: string): string {
  const ending = killedBy === null ? `ended with exit code ${code}` : `was ended by ${killedBy}`;
  return stderr.trim() === "" ? ending : `${ending}: ${clipped(stderr)}`;
}

/** Reads a stream; `onFull` is called when more than so many bytes have come, which are dropped. */
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

/** Kills the group, and waits for nothing any more: what has left the group may keep our pipes open. */
function abandon(child: ChildProcess): void {
  killGroup(child);
  child.stdout?.destroy();
  child.stderr?.destroy();
  child.unref();
}

/** Nothing once its leader has ended: the number may be another's by now. */
function killGroup({ pid, exitCode, signalCode }: ChildProcess): void {
  if (pid === undefined || exitCode !== null || signalCode !== null) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It ends right now.
  }
}

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Starts a program whose group ends with this process, until `release` is called: signals of a terminal do not reach the group.
 * The listeners are there before it is: a signal that comes while it starts would end this process alone.
 */
function startTied(program: Program) {
  let child: ReturnType<typeof start> | undefined;
  const onExit = () => child && killGroup(child);
  const onSignal = (name: NodeJS.Signals) => {
    onExit();
    release();
    // Whoever else listens decides what becomes of this process; without anybody it is the system's way.
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
