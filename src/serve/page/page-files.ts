import { readdir, readFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** A file that the browser loads. */
export interface PageFile {
  readonly type: string;
  readonly body: Buffer;
}

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

/** The files of the page lie in this folder beside the bundle. */
export const PAGE_FOLDER = fileURLToPath(new URL("ui", import.meta.url));

/** Reads the files of the page, by name. Files of other types are left out. Rejects if the page was not built. */
export async function readPageFiles(folder: string): Promise<ReadonlyMap<string, PageFile>> {
  const files = new Map<string, PageFile>();
  for (const name of await readdir(folder)) {
    const type = TYPES[extname(name)];
    if (type !== undefined) files.set(name, { type, body: await readFile(join(folder, name)) });
  }
  if (!files.has("index.html")) throw new Error(`"${folder}" has no index.html`);
  return files;
}
