import { field } from "../../decode/object-reader.ts";
import { readBody } from "../transport/read-body.ts";
import type { Body } from "../transport/transport.ts";
import { ItemSplitter, type ListPart } from "./item-splitter.ts";
import { type ApiObject, apiObject } from "./watch-event.ts";

/** The result of reading a page of a LIST. */
export type PageEnd =
  /** `next` is the token of the next page, "" on the last page. */
  | { readonly kind: "page"; readonly resourceVersion: string; readonly next: string }
  /** The list has a version that is not accepted. */
  | { readonly kind: "behind"; readonly version: string }
  | { readonly kind: "malformed"; readonly reason: string }
  | { readonly kind: "cut"; readonly error: unknown };

/** The largest accepted object. The default limit of etcd is 1.5 MB, and some clusters raise it. */
export const MAX_OBJECT_BYTES = 32 * 1024 * 1024;

export interface PageListener {
  /** Whether a list of this version may be used. The API server sends the version before the items. */
  accepts(version: string): boolean;
  onObject(object: ApiObject): void;
  onProgress(bytes: number): void;
}

/** Reads a page, object by object while it arrives. A body that ends before the end of its JSON gives `cut`. */
export async function readPage(body: Body, signal: AbortSignal, listener: PageListener): Promise<PageEnd> {
  const splitter = new ItemSplitter();
  let metadata: unknown;
  const bodyEnd = await readBody(body, signal, (chunk): PageEnd | undefined => {
    listener.onProgress(chunk.length);
    for (const part of splitter.push(chunk)) {
      const value = parsed(part);
      if (part.kind === "metadata") metadata = value;
      const end = signal.aborted ? malformed(part) : readPart(part, value, listener);
      if (end !== undefined) return end;
    }
    if (splitter.pendingBytes > MAX_OBJECT_BYTES) return { kind: "malformed", reason: "an item is too large" };
    return undefined;
  });
  if (bodyEnd.kind === "stopped") return bodyEnd.result;
  if (bodyEnd.kind === "failed") return { kind: "cut", error: bodyEnd.error };
  if (!splitter.complete) return { kind: "cut", error: new Error("the list is incomplete") };
  return pageEnd(metadata);
}

/** The result of reading the version of a list. */
export type VersionEnd =
  | { readonly kind: "version"; readonly version: string }
  | { readonly kind: "malformed"; readonly reason: string }
  | { readonly kind: "cut"; readonly error: unknown };

/** Reads a list up to its version. The items are not needed; a server that ignores the limit sends all of them. */
export async function readVersion(body: Body, signal: AbortSignal): Promise<VersionEnd> {
  const splitter = new ItemSplitter();
  const bodyEnd = await readBody(body, signal, (chunk): VersionEnd | undefined => {
    for (const part of splitter.push(chunk)) {
      const version = part.kind === "metadata" ? field(parsed(part), "resourceVersion") : undefined;
      if (typeof version === "string" && version !== "") return { kind: "version", version };
    }
    return undefined;
  });
  if (bodyEnd.kind === "stopped") return bodyEnd.result;
  if (bodyEnd.kind === "failed") return { kind: "cut", error: bodyEnd.error };
  return { kind: "malformed", reason: "a list without resourceVersion" };
}

/** Handles a part. Returns an end if the part ends the page. */
function readPart(part: ListPart, value: unknown, listener: PageListener): PageEnd | undefined {
  if (part.kind === "metadata") {
    const version = field(value, "resourceVersion");
    const refused = typeof version === "string" && !listener.accepts(version);
    return refused ? { kind: "behind", version } : value === undefined ? malformed(part) : undefined;
  }
  const object = apiObject(value);
  if (object === undefined) return malformed(part);
  listener.onObject(object);
  return undefined;
}

function malformed({ kind }: ListPart): PageEnd {
  return { kind: "malformed", reason: `the list has invalid ${kind === "item" ? "items" : "metadata"}` };
}

function pageEnd(metadata: unknown): PageEnd {
  const resourceVersion = field(metadata, "resourceVersion");
  const next = field(metadata, "continue") ?? "";
  if (typeof resourceVersion !== "string" || resourceVersion === "" || typeof next !== "string") {
    return { kind: "malformed", reason: "a list without resourceVersion" };
  }
  return { kind: "page", resourceVersion, next };
}

function parsed(part: ListPart): unknown {
  try {
    return JSON.parse(part.text);
  } catch {
    return undefined;
  }
}
