import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";
import { constants, type Stats } from "node:fs";
import { lstat, open, readdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";

/** A file: its text, or the reason for which it could not be read. If `version` is equal, the file is unchanged. */
export type FileRead = { readonly file: string; readonly version: string } & (
  | { readonly kind: "read"; readonly text: string }
  | { readonly kind: "unreadable"; readonly reason: string }
);

const MANIFEST = /\.(yaml|yml|json)$/;

/** A string of V8 has at most 512 MiB. 50,000 Services with half a million endpoints have some 150 MiB of JSON. */
const LARGEST_JSON_MIB = 256;
/** YAML of this size takes some 20 s to parse. */
const LARGEST_YAML_MIB = 32;
const MIB = 1_048_576;

/**
 * Reads the file, or the .yaml, .yml and .json files of the folder, sorted by name. Folders in the folder are ignored, as
 * with `kubectl apply -f`. Names that begin with a dot are ignored, because editors store drafts in them and a mounted
 * ConfigMap its versions. Rejects if the path itself cannot be read. A file that cannot be read is in the result.
 */
export async function readFiles(path: string): Promise<readonly FileRead[]> {
  const about = await stat(path);
  if (!about.isDirectory()) return [await readText(path)];
  const names = (await readdir(path)).filter((name) => MANIFEST.test(name) && !name.startsWith("."));
  const reads = await Promise.all(names.sort().map((name) => readOne(join(path, name))));
  return reads.filter((read) => read !== undefined);
}

/** Reads a file. Returns undefined for a folder, and for a file that was deleted after the folder was listed. */
async function readOne(path: string): Promise<FileRead | undefined> {
  try {
    if ((await stat(path)).isDirectory()) return undefined;
    return await readText(path);
  } catch (error) {
    if (errorCode(error) === "ENOENT" && !(await isListed(path))) return undefined;
    const reason = `cannot be read: ${errorCode(error)}`;
    return { file: basename(path), version: reason, kind: "unreadable", reason };
  }
}

/** Whether the folder has an entry with this path, which may be a symbolic link to a missing file. */
async function isListed(path: string): Promise<boolean> {
  return await lstat(path).then(
    () => true,
    (error: unknown) => errorCode(error) !== "ENOENT",
  );
}

async function readText(path: string): Promise<FileRead> {
  const bytes = await readBytes(path);
  const fault = textFault(bytes);
  if (fault !== undefined) throw new Error(fault);
  const text = bytes.toString("utf8", startOfText(bytes));
  const version = createHash("sha256").update(bytes).digest("base64");
  return { file: basename(path), version, kind: "read", text };
}

/**
 * The content of a regular file. The type is checked before the file is opened, because the opening of a FIFO blocks and
 * the opening of some devices has effects. It is checked again after that, because the file may have been replaced.
 */
async function readBytes(path: string): Promise<Buffer> {
  checkType(path, await stat(path));
  await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const before = await file.stat();
  checkType(path, before);
  const bytes = await file.readFile();
  const after = await file.stat();
  // A part of the old content with a part of the new content may be a valid but wrong manifest.
  if (after.mtimeMs !== before.mtimeMs || after.size !== before.size) throw new Error("it changed while it was read");
  return bytes;
}

/** Throws if the path is not a regular file, or if the file is too large. */
function checkType(path: string, about: Stats): void {
  const kind = unreadableKind(about);
  if (kind !== undefined) throw new Error(`it is ${kind}, not a regular file`);
  const mib = path.endsWith(".json") ? LARGEST_JSON_MIB : LARGEST_YAML_MIB;
  if (about.size > mib * MIB) throw new Error(`it has ${about.size} bytes, more than ${mib} MiB`);
}

function unreadableKind(about: Stats): string | undefined {
  if (about.isFile()) return undefined;
  if (about.isFIFO()) return "a FIFO";
  if (about.isSocket()) return "a socket";
  return about.isDirectory() ? "a folder" : "a device";
}

function textFault(bytes: Buffer): string | undefined {
  if (!isUtf8(bytes)) return "it is not UTF-8 text";
  const nul = bytes.indexOf(0);
  return nul === -1 ? undefined : `it is not text: byte ${nul} is NUL`;
}

const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

function startOfText(bytes: Buffer): number {
  return bytes.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK) ? BYTE_ORDER_MARK.length : 0;
}

/** The code of the error, for example "ENOENT", or its message if it has no code. */
export function errorCode(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return "code" in error && typeof error.code === "string" ? error.code : error.message;
}
