import { createInterface } from "node:readline";
import { ended, type Namespace } from "./namespace.ts";
import { Program } from "./program.ts";

/** Marks the end of a script's output; nothing prints it by chance. */
const END = "--end-of-script--";

/** A shell that goes on: scripts run in it one after the other. */
export class Shell implements AsyncDisposable {
  readonly #program: Program;
  readonly #lines: AsyncIterator<string>;
  #turn: Promise<unknown> = Promise.resolve();

  /** In a namespace, else where this process is. */
  constructor(namespace?: Namespace) {
    this.#program = namespace?.start(["sh"]) ?? Program.start(["sh"]);
    this.#lines = createInterface({ input: this.#program.stdout })[Symbol.asyncIterator]();
  }

  /** What a script prints, stderr as well; throws when one of its commands fails. */
  run(script: string): Promise<string> {
    const result = this.#turn.then(() => this.#runNow(script));
    this.#turn = result.catch(() => undefined);
    return result;
  }

  async #runNow(script: string): Promise<string> {
    this.#program.stdin.write(`( set -e\n${script}\n) 2>&1 </dev/null; status=$?; echo; echo "${END} $status"\n`);
    const lines: string[] = [];
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done === true) throw new Error(`The shell ended in "${script}"`);
      if (!value.startsWith(END)) lines.push(value);
      else if (value === `${END} 0`) return lines.join("\n");
      else throw new Error(`"${script}" failed: ${lines.join("\n")}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await ended(this.#program, "SIGKILL");
  }
}
