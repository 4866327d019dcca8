import { type FSWatcher, watch } from "node:fs";
import { stat } from "node:fs/promises";
import { dirname } from "node:path";

export interface Waits {
  /** How long the folder must be quiet before it is read: a file may be half written. */
  readonly settleMs: number;
  /** When it is read at the latest: network file systems tell nothing, and writers may never be quiet. */
  readonly pollMs: number;
}

/**
 * Watches a folder, or the folder of a file, from its making on. It is made anew for every reading: what changes while
 * files are read rings it, and a folder that was replaced is found again.
 */
export class FolderWatch {
  /** Resolves when something changed and the folder settled, when it is time to poll, or when the signal aborts. */
  readonly settled: Promise<void>;
  readonly #close: () => void;

  constructor(folder: string, waits: Waits, signal: AbortSignal) {
    const { promise, resolve } = Promise.withResolvers<void>();
    const finish = () => resolve();
    const poll = setTimeout(finish, waits.pollMs);
    let quiet: NodeJS.Timeout | undefined;
    const watcher = openWatcher(folder, () => {
      clearTimeout(quiet);
      quiet = setTimeout(finish, waits.settleMs);
    });
    signal.addEventListener("abort", finish);
    if (signal.aborted) finish();
    this.settled = promise;
    this.#close = () => {
      clearTimeout(poll);
      clearTimeout(quiet);
      signal.removeEventListener("abort", finish);
      watcher?.close();
    };
  }

  close(): void {
    this.#close();
  }
}

/** Undefined where there is nothing to watch, or no inotify watch left: then polling alone must do. */
function openWatcher(folder: string, onChange: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(folder, onChange);
    watcher.on("error", () => watcher.close());
    return watcher;
  } catch {
    return undefined;
  }
}

/** The folder to watch for a path. A file is watched by its folder, because editors put a new file in its place. */
export async function folderOf(path: string): Promise<string> {
  const about = await stat(path).catch(() => undefined);
  return about?.isDirectory() ? path : dirname(path);
}
