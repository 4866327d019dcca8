import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

export interface Finished {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs a program to its end; what it writes is returned. Rejects only when it cannot be started. */
export async function finished(argv: readonly string[], input = ""): Promise<Finished> {
  const [program = "", ...rest] = argv;
  const child = spawn(program, rest, { stdio: ["pipe", "pipe", "pipe"] });
  const text = { out: "", err: "" };
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => (text.out += chunk));
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => (text.err += chunk));
  // A program that fails early reads no input: its exit code tells.
  child.stdin.on("error", () => undefined).end(input);
  const [code] = (await once(child, "close")) as [number | null]; // as the types of Node say of this event
  return { code, ...text };
}

/** What a program writes; throws when it fails. */
export async function output(argv: readonly string[], input = ""): Promise<string> {
  const { code, out, err } = await finished(argv, input);
  if (code !== 0) throw new Error(`"${argv.join(" ")}" ended with ${code}: ${err.trim() || out.trim()}`);
  return out;
}

/** Ends a child process and waits for its end. */
export async function ended(child: ChildProcess, signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, "close");
  child.kill(signal);
  await closed;
}

/** A network namespace that exists, by its name, with the processes that were started in it. */
export class Namespace {
  readonly name: string;
  readonly #children = new Set<ChildProcess>();

  constructor(name: string) {
    this.name = name;
  }

  /** Runs a program inside to its end, whatever its end. */
  finished(argv: readonly string[], input = ""): Promise<Finished> {
    return finished(this.#inside(argv), input);
  }

  /** What a program inside writes; throws when it fails. */
  output(argv: readonly string[], input = ""): Promise<string> {
    return output(this.#inside(argv), input);
  }

  /** Starts a program inside that runs until it ends or the namespace is left. */
  start(argv: readonly string[]): ChildProcess {
    const [program = "", ...rest] = this.#inside(argv);
    const child = spawn(program, rest, { stdio: ["pipe", "pipe", "inherit"] });
    this.#children.add(child);
    child.once("close", () => this.#children.delete(child));
    return child;
  }

  /** Ends what was started inside and still runs. */
  async leave(): Promise<void> {
    await Promise.all([...this.#children].map((child) => ended(child, "SIGKILL")));
  }

  /** nsenter becomes the program, so that signals reach it and one process is started, not two. */
  #inside(argv: readonly string[]): readonly string[] {
    return ["nsenter", `--net=/run/netns/${this.name}`, "--", ...argv];
  }
}
