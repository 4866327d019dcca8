import { field, isJsonObject } from "../services/object-reader.ts";
import { type ApiStatus, statusOf } from "./api-status.ts";

/** An object with the identity and version that every object of the API has. */
export interface ApiObject {
  /** "" for objects outside namespaces. */
  readonly namespace: string;
  readonly name: string;
  /** Opaque: sent back as it came. */
  readonly resourceVersion: string;
  readonly object: unknown;
}

/**
 * One line of a watch.
 * - `upsert`: ADDED or MODIFIED. - `delete`: DELETED, also when the object left the selector.
 * - `bookmark`: nothing happened up to this version; `endOfList` after the initial events of a WatchList.
 * - `error`: the server gives up this watch.
 * - `malformed`: no event at all; what it was meant to tell is unknown, so it must not be skipped.
 */
export type WatchEvent =
  | { readonly kind: "upsert" | "delete"; readonly object: ApiObject }
  | { readonly kind: "bookmark"; readonly resourceVersion: string; readonly endOfList: boolean }
  | { readonly kind: "error"; readonly status: ApiStatus }
  | { readonly kind: "malformed"; readonly reason: string };

/** Reads one line of a watch. */
export function parseWatchEvent(line: string): WatchEvent {
  let event: unknown;
  try {
    event = JSON.parse(line);
  } catch {
    return malformed("a line is no JSON");
  }
  const object = field(event, "object");
  const type = field(event, "type");
  switch (type) {
    case "ADDED":
    case "MODIFIED":
      return objectEvent("upsert", object);
    case "DELETED":
      return objectEvent("delete", object);
    case "BOOKMARK":
      return bookmark(object);
    case "ERROR":
      return { kind: "error", status: statusOf(object) };
    default:
      return malformed(`unknown event type ${JSON.stringify(type)}`);
  }
}

/** The object with its identity; undefined when that is not complete. */
export function apiObject(object: unknown): ApiObject | undefined {
  const metadata = field(object, "metadata");
  const name = field(metadata, "name");
  const namespace = field(metadata, "namespace") ?? "";
  const resourceVersion = field(metadata, "resourceVersion");
  if (typeof name !== "string" || name === "" || typeof namespace !== "string") return undefined;
  if (typeof resourceVersion !== "string" || resourceVersion === "") return undefined;
  return { namespace, name, resourceVersion, object };
}

/** Whether version `a` came before `b` of the same object: numbers as decimal text, of any length. */
export function isOlderVersion(a: string, b: string): boolean {
  return a.length === b.length ? a < b : a.length < b.length;
}

function objectEvent(kind: "upsert" | "delete", value: unknown): WatchEvent {
  const object = apiObject(value);
  return object === undefined ? malformed("an object without name or resourceVersion") : { kind, object };
}

/** Only the version counts: the other fields of the object are there but empty ("endpoints":null). */
function bookmark(object: unknown): WatchEvent {
  const metadata = field(object, "metadata");
  const resourceVersion = field(metadata, "resourceVersion");
  if (!isJsonObject(metadata) || typeof resourceVersion !== "string" || resourceVersion === "") {
    return malformed("a bookmark without resourceVersion");
  }
  const endOfList = field(field(metadata, "annotations"), "k8s.io/initial-events-end") === "true";
  return { kind: "bookmark", resourceVersion, endOfList };
}

function malformed(reason: string): WatchEvent {
  return { kind: "malformed", reason };
}
