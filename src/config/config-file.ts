import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  visit,
  type YAMLError,
} from "yaml";
import type { Given, GivenTexts } from "./config.ts";
import { structureFaults } from "./file-schema.ts";
import type { JsonValue } from "./json.ts";
import type { Setting } from "./settings/setting.ts";
import { SETTING_KEYS, SETTINGS, type SettingKey } from "./settings.ts";
import { UNUSED_SETTINGS } from "./unused-settings.ts";

/** The content of a configuration file (KubeProxyConfiguration v1alpha1, with the block kubeIpvs). */
export interface ConfigFile {
  /** The texts of the settings that the file gives. The source of each is its path. */
  readonly given: GivenTexts;
  /** The values of the settings that kube-ipvs does not use, by path. */
  readonly unused: ReadonlyMap<string, JsonValue>;
}

export interface ConfigFileReading {
  /** What is valid of the file. */
  readonly file: ConfigFile;
  /** All problems of the text, the keys and the types of values. `readConfig` finds those of the values. */
  readonly problems: readonly string[];
}

const EMPTY: ConfigFile = { given: {}, unused: new Map() };

/**
 * YAML 1.1, as the YAML library of Kubernetes reads it: "yes" and "on" are true, and 0644 is an octal number.
 */
const YAML_OPTIONS = { version: "1.1", uniqueKeys: true, prettyErrors: false, logLevel: "error" } as const;

/** Reads a configuration file, which is YAML or JSON. */
export function readConfigFile(text: string): ConfigFileReading {
  const lines = new LineCounter();
  const document = parseDocument(text, { ...YAML_OPTIONS, lineCounter: lines });
  const faults = [...document.errors.map((error) => yamlProblem(error, text, lines)), ...removeMerges(document, lines)];
  // A repeated key is not a fault of the syntax: the other faults are reported with it.
  if (document.errors.some(({ code }) => code !== "DUPLICATE_KEY")) return { file: EMPTY, problems: faults };
  try {
    const value: unknown = document.toJS();
    const wrong = structureFaults(value);
    const wrongPaths = wrong.map(({ path }) => path);
    return { file: contentOf(value, wrongPaths), problems: [...faults, ...wrong.map(({ problem }) => problem)] };
  } catch (error) {
    // An alias without an anchor, and values that contain themselves or expand without end.
    const reason = error instanceof Error ? error.message : String(error);
    return { file: EMPTY, problems: [...faults, `Invalid configuration: ${reason}`] };
  }
}

function yamlProblem({ code, message, pos }: YAMLError, text: string, lines: LineCounter): string {
  const { line } = lines.linePos(pos[0]);
  if (code !== "DUPLICATE_KEY") return `Invalid configuration, line ${line}: ${message}`;
  const [key = ""] = /^[^\s:]*/.exec(text.slice(pos[0])) ?? [];
  return `Repeated key "${key}", line ${line}`;
}

/** Removes the keys "<<" whose value is no mapping, alias of a mapping or list of such, and returns the problem of each. */
function removeMerges(document: Document.Parsed, lines: LineCounter): readonly string[] {
  const resolved = (node: unknown) => (isAlias(node) ? node.resolve(document) : node);
  const problems: string[] = [];
  visit(document, {
    Pair(_, { key, value }) {
      // The library has a symbol for the key of a merge, and text for a quoted "<<".
      if (!isScalar(key) || typeof key.value !== "symbol") return undefined;
      const source = resolved(value);
      if (isMap(source) || (isSeq(source) && source.items.every((item) => isMap(resolved(item))))) return undefined;
      const { line } = lines.linePos(key.range?.[0] ?? 0);
      problems.push(`Invalid key "<<", line ${line}: its value must be a mapping, an alias of one or a list of these`);
      return visit.REMOVE;
    },
  });
  return problems;
}

/** The content without the values at or below the paths of faults, and without those above them. */
function contentOf(root: unknown, faults: readonly string[]): ConfigFile {
  const isWrong = (path: string) =>
    faults.some((fault) => fault === "" || `${path}.`.startsWith(`${fault}.`) || fault.startsWith(`${path}.`));
  const given = SETTING_KEYS.flatMap((key): [SettingKey, Given][] => {
    const { path } = SETTINGS[key];
    if (path === undefined || isWrong(path)) return [];
    const text = textOf(SETTINGS[key], valueAt(root, path));
    return text === undefined ? [] : [[key, { source: path, text }]];
  });
  const unused = UNUSED_SETTINGS.flatMap(({ path = "" }): [string, JsonValue][] => {
    const value = path === "" || isWrong(path) ? null : valueAt(root, path);
    return isZero(value) ? [] : [[path, value]];
  });
  return { given: Object.fromEntries(given), unused: new Map(unused) };
}

function valueAt(root: unknown, path: string): JsonValue {
  let value: unknown = root;
  for (const key of path.split("."))
    value = typeof value === "object" && value !== null && Object.hasOwn(value, key) ? Reflect.get(value, key) : null;
  // YAML that has passed the schema has no values but those of JSON.
  return value as JsonValue;
}

/** The text of a value; undefined if the value means that the setting is not given. */
function textOf({ zeroIsDefault }: Setting<unknown>, value: JsonValue): string | undefined {
  if (value === null || value === "") return undefined;
  if (zeroIsDefault === true && isZero(value)) return undefined;
  if (Array.isArray(value)) return value.length === 0 ? undefined : value.join(",");
  return String(value);
}

/** Whether the value is the zero value of its type in Go. */
function isZero(value: JsonValue): boolean {
  if (typeof value === "object" && value !== null) return Object.values(value).every(isZero);
  return value === null || value === false || value === "" || /^0(?:\.0*)?(?:ns|us|ms|s|m|h)?$/.test(String(value));
}
