import { once } from "node:events";
import { Worker } from "node:worker_threads";

/** A call of a function of src/. */
export interface Call {
  /** Path below src/. */
  readonly file: string;
  /** The name of the function, or of the named function around it. */
  readonly name: string;
  /** The next file of src/ in the call stack; undefined when the event loop made the call. */
  readonly caller: string | undefined;
}

export interface Recording {
  /** The calls in the last run, in their order. */
  readonly calls: readonly Call[];
  /** Files that ran in the last run only, and whose calls are therefore not recorded. */
  readonly missed: readonly string[];
}

/** What the debugger thread does next; all but `load` begin by waiting until the agent is at rest. */
export type Command = "load" | "cover" | "order" | "end";

/**
 * Records the calls of functions of src/ in this thread, in a thread of its own. What is recorded must happen twice: after
 * `cover`, which finds out which functions run, and after `order`, which finds out in which order.
 */
export class Recorder {
  readonly #thread = new Worker(new URL("debugger-thread.ts", import.meta.url));

  private constructor() {}

  /** Records in what is imported from now on: V8 may not count functions that are compiled already. */
  static async load(): Promise<Recorder> {
    const recorder = new Recorder();
    await recorder.#perform("load");
    return recorder;
  }

  async cover(): Promise<void> {
    await this.#perform("cover");
  }

  async order(): Promise<void> {
    await this.#perform("order");
  }

  async end(): Promise<Recording> {
    const recording = await this.#perform("end");
    await this.#thread.terminate();
    return recording as Recording;
  }

  async #perform(command: Command): Promise<unknown> {
    const answer = once(this.#thread, "message");
    this.#thread.postMessage(command);
    return (await answer)[0];
  }
}
