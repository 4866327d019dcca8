export type Json = string | number | boolean | null | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

/** The lists of the API that are merged by a key of their elements; all other lists are replaced (`patchMergeKey` in k8s.io/api). */
const MERGE_KEYS: Readonly<Record<string, string>> = {
  containers: "name",
  env: "name",
  initContainers: "name",
  ports: "containerPort",
  volumeMounts: "mountPath",
  volumes: "name",
};

/**
 * Applies a strategic merge patch: objects are merged, null removes a field, and the lists above are merged by their key. An element
 * with `$patch: delete` removes the element with its key. New elements stand at the end.
 */
export function strategicMerge(target: Json | undefined, patch: Json, field = ""): Json {
  if (Array.isArray(patch)) return mergeList(Array.isArray(target) ? target : [], patch, MERGE_KEYS[field]);
  if (!isObject(patch)) return patch;
  const before = isObject(target) ? target : {};
  const after: Record<string, Json> = { ...before };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete after[key];
    else after[key] = strategicMerge(before[key], value, key);
  }
  return after;
}

function mergeList(target: readonly Json[], patch: readonly Json[], mergeKey: string | undefined): readonly Json[] {
  if (mergeKey === undefined) return patch;
  const merged = [...target];
  for (const element of patch) {
    const at = merged.findIndex((one) => keyOf(one, mergeKey) === keyOf(element, mergeKey));
    const isDeleted = keyOf(element, "$patch") === "delete";
    if (isDeleted) merged.splice(at, at < 0 ? 0 : 1);
    else if (at < 0) merged.push(strategicMerge(undefined, element));
    else merged[at] = strategicMerge(merged[at], element);
  }
  return merged;
}

function keyOf(element: Json, mergeKey: string): Json | undefined {
  return isObject(element) ? element[mergeKey] : undefined;
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
