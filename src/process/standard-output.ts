import { fstatSync, writeFileSync } from "node:fs";

/** The output of a command: text for the user on `out`, log lines on `err`. */
export interface Output {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Whether so many bytes wait for the reader of `out` that log lines should be dropped. */
  readonly isFull?: () => boolean;
}

/** Limit of bytes that wait in memory for the reader of a pipe. */
const LONGEST_BACKLOG = 1_048_576;

/**
 * The standard output and error of this process. No write throws or ends the process: `written` returns the failure. A
 * pipe is written in the background, a file immediately.
 */
export class StandardOutput implements Output {
  readonly #isFile = isRegularFile(process.stdout.fd);
  #fault: NodeJS.ErrnoException | undefined;

  constructor() {
    process.stdout.on("error", (error) => {
      this.#fault ??= error;
    });
    // There is no output left to report the error on.
    process.stderr.on("error", () => undefined);
  }

  readonly out = (text: string): void => {
    if (this.#isFile) this.#writeFile(text);
    else process.stdout.write(text);
  };

  readonly err = (text: string): void => {
    process.stderr.write(text);
  };

  readonly isFull = (): boolean => process.stdout.writableLength > LONGEST_BACKLOG;

  /**
   * Resolves when all text was written or refused; the result is the reason of a refusal, as "ENOSPC". A reader that
   * closed the pipe is not a failure.
   */
  async written(): Promise<string | undefined> {
    await new Promise<void>((resolve) => process.stdout.write("", () => resolve()));
    const { code, message } = this.#fault ?? {};
    return code === "EPIPE" ? undefined : (code ?? message);
  }

  /**
   * Writes to a file: if a disk is nearly full, `process.stdout` reports success although only the first part was
   * written.
   */
  #writeFile(text: string): void {
    try {
      writeFileSync(process.stdout.fd, text);
    } catch (error) {
      if (error instanceof Error) this.#fault ??= error;
    }
  }
}

function isRegularFile(fd: number): boolean {
  try {
    return fstatSync(fd).isFile();
  } catch {
    return false;
  }
}
