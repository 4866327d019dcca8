import { once } from "node:events";
import { Program } from "./program.ts";

export interface Finished {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs a program to its end; what it writes is returned. */
export function finished(argv: readonly string[], input = ""): Promise<Finished> {
  return resultOf(Program.start(argv), input);
}

async function resultOf(program: Program, input: string): Promise<Finished> {
  const text = { out: "", err: "" };
  program.stdout.setEncoding("utf8").on("data", (chunk: string) => (text.out += chunk));
  program.stderr.setEncoding("utf8").on("data", (chunk: string) => (text.err += chunk));
  program.stdin.end(input);
  await once(program, "close");
  return { code: program.exitCode ?? null, ...text };
}

/** What a program writes; throws when it fails. */
export async function output(argv: readonly string[], input = ""): Promise<string> {
  return outputOf(argv, await finished(argv, input));
}

function outputOf(argv: readonly string[], { code, out, err }: Finished): string {
  if (code !== 0) throw new Error(`"${argv.join(" ")}" ended with ${code}: ${err.trim() || out.trim()}`);
  return out;
}

/** Ends a program and waits for its end. */
export async function ended(program: Program, signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
  if (program.exitCode !== undefined) return;
  const closed = once(program, "close");
  program.kill(signal);
  await closed;
}

/** A network namespace that exists, by its name, with the processes that were started in it. */
export class Namespace {
  readonly name: string;
  readonly #programs = new Set<Program>();

  constructor(name: string) {
    this.name = name;
  }

  /** Runs a program inside to its end, whatever its end. */
  finished(argv: readonly string[], input = ""): Promise<Finished> {
    return resultOf(Program.start(argv, this.#file), input);
  }

  /** What a program inside writes; throws when it fails. */
  async output(argv: readonly string[], input = ""): Promise<string> {
    return outputOf(argv, await this.finished(argv, input));
  }

  /** Starts a program inside that runs until it ends or the namespace is left. */
  start(argv: readonly string[]): Program {
    const program = Program.start(argv, this.#file);
    program.stderr.on("data", (chunk: Buffer) => process.stderr.write(chunk));
    this.#programs.add(program);
    program.once("close", () => this.#programs.delete(program));
    return program;
  }

  /** Ends what was started inside and still runs. */
  async leave(): Promise<void> {
    await Promise.all([...this.#programs].map((program) => ended(program, "SIGKILL")));
  }

  get #file(): string {
    return `/run/netns/${this.name}`;
  }
}
