import type { Configuration, Invocation } from "./cli.ts";
import { SETTING_KEYS, SETTINGS } from "./settings.ts";

/** What a changed configuration file means for the running agent. */
export type Reload =
  /** The configuration is the same. */
  | { readonly kind: "unchanged" }
  /** The file is invalid: nothing changes. */
  | { readonly kind: "invalid"; readonly problems: readonly string[] }
  /** All changed settings are live. Their paths are in the order of the settings. */
  | { readonly kind: "live"; readonly configuration: Configuration; readonly settings: readonly string[] }
  /** These settings need a new start. */
  | { readonly kind: "restart"; readonly settings: readonly string[] };

/** Compares the configuration in use with the result of reading the command line and the file again. */
export function reloadOf(current: Configuration, next: Invocation): Reload {
  if (next.kind === "refused") return { kind: "invalid", problems: next.problems };
  // The command line is the same, so that the result is of the same kind.
  if (next.kind !== "command") return { kind: "unchanged" };
  const changed = SETTING_KEYS.filter(
    (key) => JSON.stringify(current.config[key]) !== JSON.stringify(next.config[key]),
  ).map((key) => SETTINGS[key]);
  if (changed.length === 0) return { kind: "unchanged" };
  const final = changed.filter(({ live }) => live !== true);
  const paths = (settings: typeof changed) => settings.map(({ path = "" }) => path);
  if (final.length > 0) return { kind: "restart", settings: paths(final) };
  return { kind: "live", configuration: next, settings: paths(changed) };
}
