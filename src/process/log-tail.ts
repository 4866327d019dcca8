import type { LogOutput } from "./log.ts";

/** Enough for the hour before a problem at a handful of lines a minute, in at most half a megabyte. */
const MOST_LINES = 1_000;
const MOST_CHARACTERS = 500_000;

/** What a support bundle must not contain: tokens, and the output of a credential plugin, which may be anything. */
const SECRETS: readonly (readonly [RegExp, string])[] = [
  [/\bBearer [\w.~+/=-]+/gi, "Bearer (left out)"],
  [/\beyJ[\w-]{5,}\.[\w-]+\.[\w-]*/g, "(token left out)"],
  [/(Cannot get credentials: )(?:[^"\\]|\\.)*/g, "$1(left out)"],
];

/** The last lines of a log, in memory: a log output that passes each line on. What is oldest is forgotten. */
export class LogTail implements LogOutput {
  readonly #output: LogOutput;
  readonly #lines: string[] = [];
  #characters = 0;

  constructor(output: LogOutput) {
    this.#output = output;
  }

  write(line: string): unknown {
    this.#lines.push(line);
    this.#characters += line.length;
    while (this.#lines.length > MOST_LINES || this.#characters > MOST_CHARACTERS)
      this.#characters -= this.#lines.shift()?.length ?? 0;
    return this.#output.write(line);
  }

  isFull(): boolean {
    return this.#output.isFull?.() === true;
  }

  /** The lines, the oldest first, without line ends and without secrets. */
  lines(): readonly string[] {
    return this.#lines.map((line) =>
      SECRETS.reduce((text, [pattern, instead]) => text.replace(pattern, instead), line.trimEnd()),
    );
  }
}
