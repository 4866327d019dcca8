import * as v from "valibot";
import { valueText } from "../model/value-text.ts";
import type { ValueType } from "./settings/setting.ts";
import { SETTING_KEYS, SETTINGS } from "./settings.ts";
import { suggestion } from "./suggestion.ts";
import { UNUSED_SETTINGS, type UnusedType } from "./unused-settings.ts";

export const API_VERSION = "kubeproxy.config.k8s.io/v1alpha1";
export const KIND = "KubeProxyConfiguration";

const DURATION = v.string('must be a duration in the form "30s", "1h15m" or "250ms"');
const INTEGER = v.pipe(v.number("must be an integer"), v.integer("must be an integer"));
const TEXT = v.string("must be text");
const BOOLEAN = v.boolean("must be true or false");

const TYPES: Readonly<Record<ValueType | UnusedType, v.GenericSchema>> = {
  boolean: BOOLEAN,
  integer: INTEGER,
  number: v.number("must be a number"),
  duration: DURATION,
  string: TEXT,
  strings: v.array(TEXT, "must be a list of texts"),
  address: TEXT,
  mask: v.union([TEXT, INTEGER], "must be a number such as 0x107f"),
  amount: v.union([TEXT, INTEGER], "must be a number or a word"),
  gates: v.record(TEXT, BOOLEAN, "must be a mapping of names to true or false"),
  any: v.unknown(),
};

/** The keys of a mapping in the file: each has a mapping or the type of a value. */
type Tree = Map<string, Tree | v.GenericSchema>;

/** All paths in the file except apiVersion and kind. */
const PATHS: readonly (readonly [path: string, type: ValueType | UnusedType])[] = [
  ...SETTING_KEYS.map((key) => SETTINGS[key]),
  ...UNUSED_SETTINGS,
].flatMap(({ path, type }) => (path === undefined ? [] : [[path, type] as const]));

/** A key that does not exist, or a value of a wrong type. */
export interface StructureFault {
  /** "" for the whole file. */
  readonly path: string;
  /** Names path, value and reason. */
  readonly problem: string;
}

/** The faults in the structure of a configuration file. As in kube-proxy, null means that a key is not given. */
export function structureFaults(value: unknown): readonly StructureFault[] {
  const tree = treeOf();
  const { issues = [] } = v.safeParse(rootSchema(tree), value);
  return issues.map((issue) => {
    const path = v.getDotPath(issue) ?? "";
    if (issue.type === "never") return { path, problem: `Unknown key "${path}"${meant(tree, path)}` };
    const subject = path === "" ? "configuration" : path;
    return { path, problem: `Invalid ${subject} "${valueText(issue.input)}": ${issue.message}` };
  });
}

function treeOf(): Tree {
  const root: Tree = new Map();
  for (const [path, type] of PATHS) {
    const keys = path.split(".");
    const last = keys.pop() ?? "";
    let tree = root;
    for (const key of keys) {
      const child = tree.get(key);
      const next: Tree = child instanceof Map ? child : new Map();
      tree.set(key, next);
      tree = next;
    }
    tree.set(last, TYPES[type]);
  }
  return root;
}

function rootSchema(tree: Tree): v.GenericSchema {
  return mapping({
    ...entriesOf(tree),
    apiVersion: v.optional(exactly(API_VERSION), ""),
    kind: v.optional(exactly(KIND), ""),
  });
}

function exactly(text: string) {
  return v.pipe(v.string(`must be ${text}`), v.value(text, `must be ${text}`));
}

function entriesOf(tree: Tree): Record<string, v.GenericSchema> {
  return Object.fromEntries(
    [...tree].map(([key, node]) => [key, v.nullish(node instanceof Map ? mapping(entriesOf(node)) : node)]),
  );
}

const NO_MAPPING = "must be a mapping of keys";
const ANY_MAPPING = v.custom<object>((value) => typeof value === "object" && !Array.isArray(value), NO_MAPPING);

/** A mapping with these keys only. */
function mapping(entries: Record<string, v.GenericSchema>): v.GenericSchema {
  return v.pipe(ANY_MAPPING, v.objectWithRest(entries, v.never(), NO_MAPPING));
}

/** A clause with what an unknown key may mean: the same key elsewhere, or else a similar key beside it; "" if there is none. */
function meant(root: Tree, path: string): string {
  const keys = path.split(".");
  const last = keys.pop() ?? "";
  const elsewhere = PATHS.map(([other]) => other).filter((other) => other.endsWith(`.${last}`));
  if (elsewhere.length > 0) return `: did you mean ${alternatives(elsewhere.toSorted())}?`;
  const beside = keys.reduce<Tree | v.GenericSchema | undefined>(
    (tree, key) => (tree instanceof Map ? tree.get(key) : undefined),
    root,
  );
  const prefix = keys.map((key) => `${key}.`).join("");
  return suggestion(path, beside instanceof Map ? [...beside.keys()].map((key) => `${prefix}${key}`) : []);
}

function alternatives(names: readonly string[]): string {
  const [last = "", ...others] = names.toReversed();
  return others.length === 0 ? last : `${others.toReversed().join(", ")} or ${last}`;
}
