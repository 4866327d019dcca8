import { constants } from "node:fs";
import { open } from "node:fs/promises";

/** A kubeconfig of a thousand clusters has half of it. */
const MAX_BYTES = 4 * 1024 * 1024;

/**
 * The text of a file, UTF-8. Rejects with a short reason when there is none to be had, also for what is no regular file: a
 * FIFO would never end, and could not be read again when it changes.
 */
export async function readRegularFile(path: string): Promise<string> {
  // Without O_NONBLOCK a FIFO that nobody writes to blocks in open().
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = await file.stat();
    if (!stats.isFile()) throw new Error("it is not a regular file");
    if (stats.size > MAX_BYTES) throw new Error(`it has ${stats.size} bytes, more than ${MAX_BYTES}`);
    return await file.readFile("utf8");
  } finally {
    await file.close();
  }
}
