import { readFileSync } from "node:fs";
import type { TestNode } from "./netns.ts";

/** A guest's clock is its own. A machine's is not set: everything else on it lives by that clock. */
export const mayClockBeSet = readFileSync("/proc/cmdline", "utf8").includes("GUEST_JOB=");

/** The wall clock of the guest, of all its namespaces. It is set right again when this is disposed of. */
export class WallClock implements AsyncDisposable {
  readonly #node: TestNode;
  #setBySeconds = 0;

  constructor(node: TestNode) {
    if (!mayClockBeSet) throw new Error("Cannot set the wall clock: this is no guest");
    this.#node = node;
  }

  /** Sets it on, or back for a negative number. */
  async step(seconds: number): Promise<void> {
    await this.#node.prints(`date --set '${seconds} seconds'`);
    this.#setBySeconds += seconds;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.step(-this.#setBySeconds);
  }
}
