import type { Logger } from "../../../model/logger.ts";
import { reasonOf } from "../transport/reason.ts";

/**
 * Something that is read again and again, such as a file that rotates. While it cannot be read, or is half written, the last
 * good value stays in use, as in client-go: the API server decides how long it accepts that value.
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

  /** The value as of now. Rejects only before the first good one. */
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

  /** Once for each reason: it is read for every request. */
  #report(reason: string): void {
    if (reason !== this.#reported)
      this.#logger.warn({ reason }, "credentials cannot be renewed; the last ones stay in use");
    this.#reported = reason;
  }
}
