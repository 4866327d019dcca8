import { field, isJsonObject } from "../../decode/object-reader.ts";
import { type ApiStatus, statusOf } from "../transport/api-status.ts";

/** An object of the API with its name and version. */
export interface ApiObject {
  /** "" for an object without a namespace. */
  readonly namespace: string;
  readonly name: string;
  /** The unchanged text of the version. "" for an item of a list without a version, which is never outdated. */
  readonly resourceVersion: string;
  readonly object: unknown;
}

/**
 * An event of a watch.
 * - `upsert`: ADDED or MODIFIED.
 * - `delete`: DELETED, also if the object no longer matches the selector.
 * - `bookmark`: there are no further changes up to this version. `endOfList` is set after the first objects of a
 *   watch-list.
 * - `error`: the server ends the watch with an error.
 * - `malformed`: the line is not a valid event. It must not be skipped, because it may stand for a change.
 */
export type WatchEvent =
  | { readonly kind: "upsert" | "delete"; readonly object: ApiObject }
  | { readonly kind: "bookmark"; readonly resourceVersion: string; readonly endOfList: boolean }
  | { readonly kind: "error"; readonly status: ApiStatus }
  | { readonly kind: "malformed"; readonly reason: string };

/** Parses a line of a watch. */
export function parseWatchEvent(line: string): WatchEvent {
  let event: unknown;
  try {
    event = JSON.parse(line);
  } catch {
    return malformed("a line is not JSON");
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

/** The object with its name and version; undefined without a valid name. */
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
 * Whether version `a` of a resource is older than `b`. Versions are decimal numbers of any length (KEP-5504). Versions of
 * another form cannot be compared, and none of them is older.
 */
export function isOlderVersion(a: string, b: string): boolean {
  const comesFirst = a.length === b.length ? a < b : a.length < b.length;
  return comesFirst && DECIMAL.test(a) && DECIMAL.test(b);
}

/** The newer of two versions. If they cannot be compared, the second, or the first if the second is "". */
export function laterVersion(a: string, b: string): string {
  return b === "" || isOlderVersion(b, a) ? a : b;
}

function objectEvent(kind: "upsert" | "delete", value: unknown): WatchEvent {
  const object = apiObject(value);
  if (object === undefined || object.resourceVersion === "")
    return malformed("an object without name or resourceVersion");
  return { kind, object };
}

/** Reads the version of a bookmark. The other fields of its object exist but are empty ("endpoints":null). */
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
