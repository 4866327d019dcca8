import { constants } from "node:fs";
import { open } from "node:fs/promises";

/** The largest accepted file. A kubeconfig of a thousand clusters has half this size. */
const MAX_BYTES = 4 * 1024 * 1024;

/**
 * The text of a UTF-8 file. Rejects with a short reason if the file cannot be read or is not a regular file. A FIFO may
 * never end and cannot be read again.
 */
export async function readRegularFile(path: string): Promise<string> {
  // Without O_NONBLOCK, open() of a FIFO without a writer blocks.
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
