import { type FSWatcher, watch } from "node:fs";
import { stat } from "node:fs/promises";
import { dirname } from "node:path";

export interface Waits {
  /** The time without changes before the folder is read, because a file may be half written. */
  readonly settleMs: number;
  /** The longest time between two reads. Network file systems report no changes, and changes may never pause. */
  readonly pollMs: number;
}

/**
 * Watches a folder, or the folder of a file, from its construction on. A new watch is made for each read, so that changes
 * during the read are seen and a folder that was replaced is found again.
 */
export class FolderWatch {
  /** Resolves when the folder has changed and then settled, when it is time to poll, or when the signal aborts. */
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

/** A watcher of the folder; undefined if the folder does not exist or there is no inotify watch left. Then polls find changes. */
function openWatcher(folder: string, onChange: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(folder, onChange);
    watcher.on("error", () => watcher.close());
    return watcher;
  } catch {
    return undefined;
  }
}

/** The folder to watch for a path. For a file it is its folder, because editors replace the file by a new one. */
export async function folderOf(path: string): Promise<string> {
  const about = await stat(path).catch(() => undefined);
  return about?.isDirectory() ? path : dirname(path);
}
