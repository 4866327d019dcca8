import type { NodeSetup } from "../kernel/kernel.ts";

/**
 * Distinguishes repairs from the work for a new setup: if the same setup was written before, something else has changed the
 * node since.
 */
export class Repairs {
  #last = "";

  /** A setup was written. Returns whether the changes that this took are repairs. */
  written({ members: _, ...setup }: NodeSetup): boolean {
    const text = JSON.stringify(setup);
    const areRepairs = text === this.#last;
    this.#last = text;
    return areRepairs;
  }
}
