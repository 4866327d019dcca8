import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";
import { constants, type Stats } from "node:fs";
import { lstat, open, readdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";

/** One file as it was read: its text, or why it could not be read. Equal `version` means that nothing has changed. */
export type FileRead = { readonly file: string; readonly version: string } & (
  | { readonly kind: "read"; readonly text: string }
  | { readonly kind: "unreadable"; readonly reason: string }
);

const MANIFEST = /\.(yaml|yml|json)$/;

/** A string of V8 ends at 512 MiB. 50,000 Services with half a million endpoints are some 150 MiB of JSON. */
const LARGEST_JSON_MIB = 256;
/** YAML of this size takes some 20 s to parse. */
const LARGEST_YAML_MIB = 32;
const MIB = 1_048_576;

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

/** Undefined for a folder, which may have any name, and for a file that was deleted since the folder was listed. */
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

/** A link that leads nowhere is listed. */
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
 * The content of a regular file. What it is, is asked before it is opened, since to open a FIFO blocks and to open some
 * devices has effects, and once more when it is open, since it may have been replaced meanwhile.
 */
async function readBytes(path: string): Promise<Buffer> {
  refuse(path, await stat(path));
  await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const before = await file.stat();
  refuse(path, before);
  const bytes = await file.readFile();
  const after = await file.stat();
  // A half of the old content with a half of the new one may be a valid manifest of neither.
  if (after.mtimeMs !== before.mtimeMs || after.size !== before.size) throw new Error("it was written to meanwhile");
  return bytes;
}

/** Throws when that is no file, or too large a one. */
function refuse(path: string, about: Stats): void {
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
  if (!isUtf8(bytes)) return "it is no UTF-8 text";
  const nul = bytes.indexOf(0);
  return nul === -1 ? undefined : `it is no text: byte ${nul} is NUL`;
}

const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

function startOfText(bytes: Buffer): number {
  return bytes.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK) ? BYTE_ORDER_MARK.length : 0;
}

/** "ENOENT" and the like, else the message. */
export function errorCode(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return "code" in error && typeof error.code === "string" ? error.code : error.message;
}
