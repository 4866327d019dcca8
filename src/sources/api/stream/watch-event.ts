import { field, isJsonObject } from "../../decode/object-reader.ts";
import { type ApiStatus, statusOf } from "../transport/api-status.ts";

/** An object with the identity and version that every object of the API has. */
export interface ApiObject {
  /** "" for objects outside namespaces. */
  readonly namespace: string;
  readonly name: string;
  /** Sent back as it came. "" for an item of a list without one: it counts whatever its version. */
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
  const version = field(metadata, "resourceVersion");
  if (typeof name !== "string" || name === "" || typeof namespace !== "string") return undefined;
  return { namespace, name, resourceVersion: typeof version === "string" ? version : "", object };
}

const DECIMAL = /^(?:0|[1-9]\d*)$/;

/**
 * Whether version `a` of a resource came before `b`: numbers as decimal text, of any length (KEP-5504). Versions of another form
 * cannot be compared, and none of them counts as older.
 */
export function isOlderVersion(a: string, b: string): boolean {
  const comesFirst = a.length === b.length ? a < b : a.length < b.length;
  return comesFirst && DECIMAL.test(a) && DECIMAL.test(b);
}

/** The later of two versions; the second where they cannot be compared, unless it is "". */
export function laterVersion(a: string, b: string): string {
  return b === "" || isOlderVersion(b, a) ? a : b;
}

function objectEvent(kind: "upsert" | "delete", value: unknown): WatchEvent {
  const object = apiObject(value);
  if (object === undefined || object.resourceVersion === "")
    return malformed("an object without name or resourceVersion");
  return { kind, object };
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
