import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { parse, parseAllDocuments } from "yaml";
import { type ConfigMapGenerator, generatedData, nameSuffix } from "./config-map.ts";
import { isObject, type Json, type JsonObject, strategicMerge } from "./strategic-merge.ts";

/**
 * Renders the kustomizations of manifests/ as `kubectl kustomize` does, for the single files of a release and for tests, where
 * no kubectl is at hand. It has the fields of this interface and rejects all others, so that nothing is left out in silence.
 */
interface Kustomization {
  readonly kind: "Kustomization" | "Component";
  readonly namespace?: string;
  readonly resources?: readonly string[];
  readonly components?: readonly string[];
  readonly configMapGenerator?: readonly ConfigMapGenerator[];
  readonly images?: readonly { name: string; newName?: string; newTag?: string; digest?: string }[];
  readonly patches?: readonly Patch[];
}

interface Patch {
  readonly path: string;
  readonly target: { readonly kind: string; readonly name: string };
  readonly options?: { readonly allowNameChange: boolean };
}

const FIELDS = [
  "apiVersion",
  "kind",
  "namespace",
  "resources",
  "components",
  "configMapGenerator",
  "images",
  "patches",
];
const CLUSTER_KINDS = ["ClusterRole", "ClusterRoleBinding"];
/** The order in which kustomize prints kinds; others follow. */
const KIND_ORDER = ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "ConfigMap"];

/** Objects on the way, with the names of ConfigMaps that get a suffix at the end. */
interface Rendering {
  readonly objects: readonly JsonObject[];
  readonly hashed: ReadonlySet<string>;
}

const isConfigMap = ({ kind }: JsonObject) => kind === "ConfigMap";

/** The objects of the kustomization in a folder. Throws if it has a field or a resource that is not known here. */
export function render(folder: string): readonly JsonObject[] {
  const { objects, hashed } = build(folder, { objects: [], hashed: new Set() });
  const there = [...hashed].filter((name) => objects.some((object) => isConfigMap(object) && nameOf(object) === name));
  const names = new Map(there.map((name) => [name, suffixed(objects, name)]));
  return objects
    .map((object) => withNames(object, names) as JsonObject)
    .toSorted((a, b) => rank(a) - rank(b) || (kindOf(a) < kindOf(b) ? -1 : 1));
}

function build(folder: string, before: Rendering): Rendering {
  const kustomization: Kustomization = parse(readFileSync(join(folder, "kustomization.yaml"), "utf8"));
  const unknown = Object.keys(kustomization).filter((field) => !FIELDS.includes(field));
  if (unknown.length > 0)
    throw new Error(`${folder}/kustomization.yaml has the field "${unknown[0]}", which is not supported here`);
  const { resources = [], components = [], configMapGenerator = [], patches = [], images = [] } = kustomization;
  let now = before;
  for (const resource of resources) now = withResource(join(folder, resource), now);
  for (const component of components) now = build(join(folder, component), now);
  for (const generator of configMapGenerator) now = withConfigMap(generator, folder, now);
  let objects = patches.reduce((all, patch) => patched(all, patch, folder), now.objects);
  if (kustomization.namespace !== undefined) objects = inNamespace(objects, kustomization.namespace);
  objects = images.reduce((all, image) => all.map((one) => withImage(one, image) as JsonObject), objects);
  return { ...now, objects };
}

/** A folder with a kustomization of its own, or a file of objects. */
function withResource(path: string, { objects, hashed }: Rendering): Rendering {
  if (!statSync(path).isDirectory()) {
    const added = parseAllDocuments(readFileSync(path, "utf8")).map((document): JsonObject => document.toJS());
    return { objects: [...objects, ...added], hashed };
  }
  const added = build(path, { objects: [], hashed: new Set() });
  return { objects: [...objects, ...added.objects], hashed: new Set([...hashed, ...added.hashed]) };
}

function withConfigMap(generator: ConfigMapGenerator, folder: string, { objects, hashed }: Rendering): Rendering {
  const { name, behavior, options = {} } = generator;
  const data = generatedData(generator, folder);
  const isSame = (object: JsonObject) => isConfigMap(object) && nameOf(object) === name;
  if (behavior === "merge") {
    if (!objects.some(isSame)) throw new Error(`There is no ConfigMap "${name}" to merge with`);
    return {
      objects: objects.map((object) => (isSame(object) ? (strategicMerge(object, { data }) as JsonObject) : object)),
      hashed,
    };
  }
  const { labels } = options;
  const object = { apiVersion: "v1", kind: "ConfigMap", metadata: { name, ...(labels && { labels }) }, data };
  return {
    objects: [...objects, object],
    hashed: options.disableNameSuffixHash === true ? hashed : new Set([...hashed, name]),
  };
}

function patched(
  objects: readonly JsonObject[],
  { path, target, options }: Patch,
  folder: string,
): readonly JsonObject[] {
  const patch: JsonObject = parse(readFileSync(join(folder, path), "utf8"));
  const isTarget = (object: JsonObject) => kindOf(object) === target.kind && nameOf(object) === target.name;
  if (!objects.some(isTarget)) throw new Error(`${folder}/${path}: there is no ${target.kind} "${target.name}"`);
  const { $patch } = patch;
  if ($patch === "delete") return objects.filter((object) => !isTarget(object));
  return objects.map((object) => {
    if (!isTarget(object)) return object;
    const name = options?.allowNameChange === true ? {} : { metadata: { name: nameOf(object) } };
    return strategicMerge(strategicMerge(object, patch), name) as JsonObject;
  });
}

/** Sets the namespace of all objects that have one, and of the ServiceAccounts in bindings. */
function inNamespace(objects: readonly JsonObject[], namespace: string): readonly JsonObject[] {
  return objects.map((object) =>
    CLUSTER_KINDS.includes(kindOf(object))
      ? object
      : (strategicMerge(object, { metadata: { namespace } }) as JsonObject),
  );
}

function withImage(value: Json, image: { name: string; newName?: string; newTag?: string; digest?: string }): Json {
  return mapped(value, (key, child) => {
    if (key !== "image" || child !== image.name) return undefined;
    const { name, newName = name, newTag, digest } = image;
    return `${newName}${digest === undefined ? `:${newTag}` : `@${digest}`}`;
  });
}

/** Replaces names of ConfigMaps, of the objects themselves and in references. */
function withNames(object: JsonObject, names: ReadonlyMap<string, string>): Json {
  const own = isConfigMap(object) ? names.get(nameOf(object)) : undefined;
  const named = own === undefined ? object : strategicMerge(object, { metadata: { name: own } });
  return mapped(named, (key, child) => {
    if (!(key === "configMapKeyRef" || key === "configMap") || !isObject(child)) return undefined;
    const name = names.get(nameIn(child));
    return name === undefined ? undefined : { ...child, name };
  });
}

/** A copy in which `replace` has replaced the fields for which it returns a value. */
function mapped(value: Json, replace: (key: string, child: Json) => Json | undefined): Json {
  if (Array.isArray(value)) return value.map((child) => mapped(child, replace));
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, child]) => [key, replace(key, child) ?? mapped(child, replace)]),
  );
}

function suffixed(objects: readonly JsonObject[], name: string): string {
  const found = objects.find((object) => isConfigMap(object) && nameOf(object) === name);
  const { data = {} } = found ?? {};
  // A generator wrote it.
  return `${name}-${nameSuffix(name, data as Record<string, string>)}`;
}

function nameOf({ metadata }: JsonObject): string {
  return isObject(metadata) ? nameIn(metadata) : "";
}

function nameIn({ name }: JsonObject): string {
  return `${name}`;
}

function kindOf({ kind }: JsonObject): string {
  return `${kind}`;
}

function rank(object: JsonObject): number {
  const at = KIND_ORDER.indexOf(kindOf(object));
  return at < 0 ? KIND_ORDER.length : at;
}
