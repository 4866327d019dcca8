import { setImmediate } from "node:timers/promises";

/**
 * What is under way: requests to a kernel, turns of the event loop that somebody waits for. Whatever else there is to do is
 * then done in microtasks, so that nothing is left to be done when all of it has ended, however long it takes.
 */
export class Activity {
  #running = 0;
  #ended = Promise.withResolvers<void>();

  /** The same promise, of which its end is waited for. */
  async of<Result>(work: Promise<Result>): Promise<Result> {
    this.#running++;
    try {
      return await work;
    } finally {
      this.#running--;
      if (this.#running === 0) {
        this.#ended.resolve();
        this.#ended = Promise.withResolvers();
      }
    }
  }

  /** Resolves when nothing is under way and nothing has begun within a turn of the event loop. */
  async rest(): Promise<void> {
    await setImmediate();
    while (this.#running > 0) {
      await this.#ended.promise;
      await setImmediate();
    }
  }
}
