/**
 * Who may run when: one flush and one look at a time, and a flush during a look only if it does not need what the look is
 * about to find out.
 */
export class Turns {
  readonly #mayFlush: () => boolean;
  /** Neither ever rejects. */
  #flushing: Promise<unknown> | undefined;
  #looking: Promise<unknown> | undefined;

  /** `mayFlush` says during a look whether a flush can do without its result. */
  constructor(mayFlush: () => boolean) {
    this.#mayFlush = mayFlush;
  }

  /** Runs a flush. Rejects when another flush is running: that is a bug. */
  async flush<Result>(work: () => Promise<Result>): Promise<Result> {
    while (this.#looking !== undefined && !this.#mayFlush()) await this.#looking;
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

  /** Resolves while no flush is running. Whoever acts without waiting for anything is alone. */
  async betweenFlushes(): Promise<void> {
    while (this.#flushing !== undefined) await this.#flushing;
  }
}
