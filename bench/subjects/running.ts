import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { type Usage, usageOf } from "./process-tree.ts";

const END_MS = 20_000;

/** A program that runs; what it prints goes to a file. */
export class Running {
  readonly #child: ChildProcess;
  readonly #logFile: string;

  private constructor(child: ChildProcess, logFile: string) {
    this.#child = child;
    this.#logFile = logFile;
  }

  /** Starts a program; resolves when its process exists. */
  static async start(
    argv: readonly string[],
    logFile: string,
    env: Readonly<Record<string, string>> = {},
  ): Promise<Running> {
    const [program = "", ...words] = argv;
    const log = openSync(logFile, "a");
    const child = spawn(program, words, { stdio: ["ignore", log, log], env: { ...process.env, ...env } });
    closeSync(log);
    await once(child, "spawn");
    return new Running(child, logFile);
  }

  /** Throws if the program has ended, with the end of what it printed. */
  check(): void {
    const { exitCode, signalCode } = this.#child;
    if (exitCode === null && signalCode === null) return;
    const tail = readFileSync(this.#logFile, "utf8").trimEnd().split("\n").slice(-5).join(" | ");
    throw new Error(`the program ended (${signalCode ?? exitCode}): ${tail}`);
  }

  usage(): Usage {
    return usageOf(this.#child.pid ?? 0);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Ends it by SIGTERM, and by SIGKILL if that does not suffice. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, "exit");
    this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), END_MS);
    await exited;
    clearTimeout(timer);
  }
}
