import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { basename, join } from "node:path";

/** One file as it was read: its text, or why it could not be read. Equal `version` means that nothing has changed. */
export type FileRead = { readonly file: string; readonly version: string } & (
  | { readonly kind: "read"; readonly text: string }
  | { readonly kind: "unreadable"; readonly reason: string }
);

const MANIFEST = /\.(yaml|yml|json)$/;

/**
 * Reads the file, or the .yaml, .yml and .json files of the folder, sorted by name. Folders in the folder are not
 * entered, as with `kubectl apply -f`, and names that begin with a dot are left out: editors keep their drafts there,
 * and a mounted ConfigMap its versions. Rejects when the path itself cannot be read; a file that cannot be read is told.
 */
export async function readFiles(path: string): Promise<readonly FileRead[]> {
  const about = await stat(path);
  if (!about.isDirectory()) return [await readText(path)];
  const names = (await readdir(path)).filter((name) => MANIFEST.test(name) && !name.startsWith("."));
  const reads = await Promise.all(names.sort().map((name) => readOne(join(path, name))));
  return reads.filter((read) => read !== undefined);
}

/** Undefined for what is no file: a folder or a pipe may have any name. */
async function readOne(path: string): Promise<FileRead | undefined> {
  try {
    if (!(await stat(path)).isFile()) return undefined;
    return await readText(path);
  } catch (error) {
    const reason = `cannot be read: ${errorCode(error)}`;
    return { file: basename(path), version: reason, kind: "unreadable", reason };
  }
}

async function readText(path: string): Promise<FileRead> {
  const text = await readFile(path, "utf8");
  const version = createHash("sha256").update(text).digest("base64");
  return { file: basename(path), version, kind: "read", text };
}

/** "ENOENT" and the like, else the message. */
export function errorCode(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return "code" in error && typeof error.code === "string" ? error.code : error.message;
}
