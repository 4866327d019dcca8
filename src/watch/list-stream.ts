import { field } from "../services/object-reader.ts";
import { ItemSplitter, type ListPart } from "./item-splitter.ts";
import { pump } from "./pump.ts";
import type { Body } from "./transport.ts";
import { type ApiObject, apiObject } from "./watch-event.ts";

/** How reading one page of a LIST ended. */
export type PageEnd =
  /** `next` is the token of the next page, "" on the last. */
  | { readonly kind: "page"; readonly resourceVersion: string; readonly next: string }
  | { readonly kind: "malformed"; readonly reason: string }
  | { readonly kind: "cut"; readonly error: unknown };

/** Objects of the API are at most 1.5 MB by etcd's default limit; some raise it. */
export const MAX_OBJECT_BYTES = 32 * 1024 * 1024;

/** Reads one page, object by object as it arrives. A body that does not end as JSON is cut, whatever came before. */
export async function readPage(
  body: Body,
  signal: AbortSignal,
  onObject: (object: ApiObject) => void,
  onProgress: (bytes: number) => void,
): Promise<PageEnd> {
  const splitter = new ItemSplitter();
  let metadata: unknown;
  const pumped = await pump(body, signal, (chunk) => {
    onProgress(chunk.length);
    for (const part of splitter.push(chunk)) {
      const value = parsed(part);
      const object = part.kind === "item" ? apiObject(value) : undefined;
      if (signal.aborted || value === undefined || (part.kind === "item" && object === undefined)) {
        return { kind: "malformed", reason: `a list with a wrong ${part.kind}` } as const;
      }
      if (object === undefined) metadata = value;
      else onObject(object);
    }
    if (splitter.pendingBytes > MAX_OBJECT_BYTES) return { kind: "malformed", reason: "an item without end" } as const;
    return undefined;
  });
  if (pumped.kind === "stopped") return pumped.result;
  if (pumped.kind === "failed") return { kind: "cut", error: pumped.error };
  if (!splitter.complete) return { kind: "cut", error: new Error("the list ends in the middle") };
  return pageEnd(metadata);
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
