import { fstatSync, writeFileSync } from "node:fs";

/** Where a command writes: text for its user on `out`, log lines on `err`. */
export interface Output {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Whether so much waits for the reader of `out` that lines of a log should rather be lost. */
  readonly isFull?: () => boolean;
}

/** What may wait in memory for a reader of a pipe that does not read. */
const LONGEST_BACKLOG = 1_048_576;

/**
 * The standard output and error of this process. No write throws or ends the process: what went wrong is known by `written`.
 * A pipe is written to in the background; a file at once.
 */
export class StandardOutput implements Output {
  readonly #isFile = isRegularFile(process.stdout.fd);
  #fault: NodeJS.ErrnoException | undefined;

  constructor() {
    process.stdout.on("error", (error) => {
      this.#fault ??= error;
    });
    // Nothing is left to complain to.
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

  /** Resolves when all text has been written or refused: with why it was refused, as "ENOSPC". A reader that left is no fault. */
  async written(): Promise<string | undefined> {
    await new Promise<void>((resolve) => process.stdout.write("", () => resolve()));
    const { code, message } = this.#fault ?? {};
    return code === "EPIPE" ? undefined : (code ?? message);
  }

  /** `process.stdout` takes a write for whole of which a disk that is nearly full has taken the beginning. */
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
