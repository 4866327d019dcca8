import type { Logger } from "../../../model/logger.ts";
import { reasonOf } from "../transport/reason.ts";

/**
 * A value that is read for each use, for example from a file that rotates. While it cannot be read, or is half written,
 * the last valid value stays in use, as in client-go. The API server decides how long it accepts that value.
 */
export class LastGood<Value> {
  readonly #read: () => Promise<Value>;
  readonly #logger: Logger;
  #value: { readonly of: Value } | undefined;
  #reported = "";

  constructor(read: () => Promise<Value>, logger: Logger) {
    this.#read = read;
    this.#logger = logger;
  }

  /** The current value, or the last valid one. Rejects only if there was none yet. */
  async current(): Promise<Value> {
    try {
      const value = await this.#read();
      this.#value = { of: value };
      this.#reported = "";
      return value;
    } catch (error) {
      if (this.#value === undefined) throw error;
      this.#report(reasonOf(error));
      return this.#value.of;
    }
  }

  /** Logs a reason once, because the value is read for every request. */
  #report(reason: string): void {
    if (reason !== this.#reported)
      this.#logger.warn({ reason }, "cannot renew credentials; still using the last valid ones");
    this.#reported = reason;
  }
}
