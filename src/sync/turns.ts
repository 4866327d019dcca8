/**
 * Who may run when: one flush and one look at a time, and a look acts on what it has read only while no flush is running.
 */
export class Turns {
  /** Neither ever rejects. */
  #flushing: Promise<unknown> | undefined;
  #looking: Promise<unknown> | undefined;

  /** Runs a flush. Rejects when another flush is running: that is a bug. */
  async flush<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#flushing !== undefined) throw new Error("Cannot flush: another flush is running");
    const flush = work();
    this.#flushing = flush.catch(() => {});
    try {
      return await flush;
    } finally {
      this.#flushing = undefined;
    }
  }

  /** Runs a look. Rejects when another look is running: that is a bug. */
  async look<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#looking !== undefined) throw new Error("Cannot look: another look is running");
    const look = work();
    this.#looking = look.catch(() => {});
    try {
      return await look;
    } finally {
      this.#looking = undefined;
    }
  }

  /** Resolves when no look is running, whatever became of it. */
  async afterLook(): Promise<void> {
    while (this.#looking !== undefined) await this.#looking;
  }

  /** Acts as soon as no flush is running: none can begin before it has returned, for it does not wait for anything. */
  async betweenFlushes<Result>(act: () => Result): Promise<Result> {
    while (this.#flushing !== undefined) await this.#flushing;
    return act();
  }
}
