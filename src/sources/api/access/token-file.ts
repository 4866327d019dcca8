import type { Logger } from "../../../model/logger.ts";
import type { Clock } from "../../../model/time/clock.ts";
import { headerText } from "./header-text.ts";
import { LastGood } from "./last-good.ts";
import { readRegularFile } from "./regular-file.ts";

/** The time between two reads, as in client-go. The kubelet replaces a token long before it expires. */
const READ_AGAIN_MS = 60_000;

/** A bearer token in a file that rotates. The file is read once a minute, and after the server refused the token. */
export class TokenFile {
  readonly #lastGood: LastGood<string>;
  readonly #clock: Clock;
  #token = "";
  #readAtMs = Number.NEGATIVE_INFINITY;

  /** `label` is the file in errors. */
  constructor(path: string, label: string, clock: Clock, logger: Logger) {
    this.#lastGood = new LastGood(() => readToken(path, label), logger);
    this.#clock = clock;
  }

  /** The current token. Rejects until a token was read. */
  async current(): Promise<string> {
    const nowMs = this.#clock.now();
    if (nowMs - this.#readAtMs <= READ_AGAIN_MS) return this.#token;
    this.#token = await this.#lastGood.current();
    this.#readAtMs = nowMs;
    return this.#token;
  }

  /** Marks the token as refused by the server, so that the file is read again. */
  refuse(token: string): void {
    if (token === this.#token) this.#readAtMs = Number.NEGATIVE_INFINITY;
  }
}

async function readToken(path: string, label: string): Promise<string> {
  const text = await readRegularFile(path).catch((error: Error) => {
    throw new Error(`Cannot read ${label}: ${error.message}`, { cause: error });
  });
  const token = headerText(text, label);
  if (token === "") throw new Error(`Cannot use ${label}: it is empty`);
  return token;
}
