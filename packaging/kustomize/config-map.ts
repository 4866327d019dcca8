import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";

/** An entry of `configMapGenerator`. */
export interface ConfigMapGenerator {
  readonly name: string;
  readonly behavior?: "merge";
  readonly envs?: readonly string[];
  readonly files?: readonly string[];
  readonly literals?: readonly string[];
  readonly options?: {
    readonly disableNameSuffixHash?: boolean;
    readonly labels?: Readonly<Record<string, string>>;
  };
}

/** The data of a generator whose files are in the folder. */
export function generatedData(generator: ConfigMapGenerator, folder: string): Readonly<Record<string, string>> {
  const { envs = [], files = [], literals = [] } = generator;
  const lines = envs.flatMap((file) => envLines(readFileSync(join(folder, file), "utf8")));
  return Object.fromEntries([
    ...[...lines, ...literals].map(keyAndValue),
    ...files.map((file) => [basename(file), readFileSync(join(folder, file), "utf8")]),
  ]);
}

/** The lines of an env file that are neither empty nor comments. */
function envLines(text: string): readonly string[] {
  return text
    .split("\n")
    .map((line) => line.trimStart())
    .filter((line) => line !== "" && !line.startsWith("#"));
}

function keyAndValue(line: string): readonly [string, string] {
  const at = line.indexOf("=");
  if (at < 1) throw new Error(`"${line}" is not KEY=VALUE`);
  return [line.slice(0, at), line.slice(at + 1)];
}

/** The suffix that kustomize gives to the name of a generated ConfigMap: it changes with the data (api/hasher of kustomize). */
export function nameSuffix(name: string, data: Readonly<Record<string, string>>): string {
  const sorted = Object.fromEntries(Object.entries(data).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  // As Go writes JSON.
  const text = JSON.stringify({ data: sorted, kind: "ConfigMap", name }).replace(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  const hex = createHash("sha256").update(text).digest("hex").slice(0, 10);
  // No vowels and no digits that look like them, so that no word appears.
  return hex.replace(/[013ae]/g, (digit) => ({ "0": "g", "1": "h", "3": "k", a: "m", e: "t" })[digit] ?? digit);
}
