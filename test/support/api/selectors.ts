import type { JsonObject } from "./store.ts";

export type Selector = (object: JsonObject | undefined) => boolean;

/** The label and field selectors that a proxy uses; undefined for a field the resource does not have. */
export function selectorOf(query: URLSearchParams): Selector | undefined {
  const label = labelSelector(query.get("labelSelector") ?? "");
  const field = fieldSelector(query.get("fieldSelector") ?? "");
  if (label === undefined || field === undefined) return undefined;
  return (object) => object !== undefined && label(object) && field(object);
}

function labelSelector(text: string): ((object: JsonObject) => boolean) | undefined {
  if (text === "") return () => true;
  const absent = /^!([\w./-]+)$/.exec(text)?.[1];
  return absent === undefined ? undefined : (object) => object.metadata.labels?.[absent] === undefined;
}

function fieldSelector(text: string): ((object: JsonObject) => boolean) | undefined {
  if (text === "") return () => true;
  const match = /^([\w.]+?)(!?=)(.*)$/.exec(text);
  const [, path = "", operator = "", value = ""] = match ?? [];
  if (path !== "metadata.name" && path !== "spec.clusterIP") return undefined;
  return (object) => (fieldOf(object, path) === value) === (operator === "=");
}

function fieldOf(object: unknown, path: string): unknown {
  let value: unknown = object;
  for (const key of path.split("."))
    value = typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined;
  return value ?? "";
}
