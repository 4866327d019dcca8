import { field } from "../../decode/object-reader.ts";
import { pump } from "../transport/pump.ts";
import type { Body } from "../transport/transport.ts";
import { ItemSplitter, type ListPart } from "./item-splitter.ts";
import { type ApiObject, apiObject } from "./watch-event.ts";

/** How reading one page of a LIST ended. */
export type PageEnd =
  /** `next` is the token of the next page, "" on the last. */
  | { readonly kind: "page"; readonly resourceVersion: string; readonly next: string }
  /** The list is of a version that is not accepted. */
  | { readonly kind: "behind"; readonly version: string }
  | { readonly kind: "malformed"; readonly reason: string }
  | { readonly kind: "cut"; readonly error: unknown };

/** Objects of the API are at most 1.5 MB by etcd's default limit; some raise it. */
export const MAX_OBJECT_BYTES = 32 * 1024 * 1024;

export interface PageListener {
  /** Whether a list of this version may be used. The API server sends the version before the items. */
  accepts(version: string): boolean;
  onObject(object: ApiObject): void;
  onProgress(bytes: number): void;
}

/** Reads one page, object by object as it arrives. A body that does not end as JSON is cut, whatever came before. */
export async function readPage(body: Body, signal: AbortSignal, listener: PageListener): Promise<PageEnd> {
  const splitter = new ItemSplitter();
  let metadata: unknown;
  const pumped = await pump(body, signal, (chunk): PageEnd | undefined => {
    listener.onProgress(chunk.length);
    for (const part of splitter.push(chunk)) {
      const value = parsed(part);
      if (part.kind === "metadata") metadata = value;
      const end = signal.aborted ? malformed(part) : readPart(part, value, listener);
      if (end !== undefined) return end;
    }
    if (splitter.pendingBytes > MAX_OBJECT_BYTES) return { kind: "malformed", reason: "an item without end" };
    return undefined;
  });
  if (pumped.kind === "stopped") return pumped.result;
  if (pumped.kind === "failed") return { kind: "cut", error: pumped.error };
  if (!splitter.complete) return { kind: "cut", error: new Error("the list ends in the middle") };
  return pageEnd(metadata);
}

/** How reading the version of a list ended. */
export type VersionEnd =
  | { readonly kind: "version"; readonly version: string }
  | { readonly kind: "malformed"; readonly reason: string }
  | { readonly kind: "cut"; readonly error: unknown };

/** Reads a list up to its version. A server that takes no limit sends a whole list, whose items are of no use here. */
export async function readVersion(body: Body, signal: AbortSignal): Promise<VersionEnd> {
  const splitter = new ItemSplitter();
  const pumped = await pump(body, signal, (chunk): VersionEnd | undefined => {
    for (const part of splitter.push(chunk)) {
      const version = part.kind === "metadata" ? field(parsed(part), "resourceVersion") : undefined;
      if (typeof version === "string" && version !== "") return { kind: "version", version };
    }
    return undefined;
  });
  if (pumped.kind === "stopped") return pumped.result;
  if (pumped.kind === "failed") return { kind: "cut", error: pumped.error };
  return { kind: "malformed", reason: "a list without resourceVersion" };
}

/** What ends the page, if the part does. */
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
  return { kind: "malformed", reason: `a list with a wrong ${kind}` };
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
