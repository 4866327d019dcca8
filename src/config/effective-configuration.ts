import { addressPort } from "../model/address.ts";
import { formatDuration, parseDurationMs } from "../model/time/duration.ts";
import type { Given } from "./config.ts";
import { API_VERSION, KIND } from "./file-schema.ts";
import type { JsonObject, JsonValue } from "./json.ts";
import { parseBoolean } from "./setting-values.ts";
import type { ValueType } from "./settings/setting.ts";
import { SETTING_KEYS, SETTINGS, type SettingKey } from "./settings.ts";
import { UNUSED_SETTINGS } from "./unused-settings.ts";

/** The sources of a node name that is not configured. */
export const DISCOVERED_NAMES: readonly string[] = ["host name", "NODE_NAME"];

/**
 * The effective configuration as a KubeProxyConfiguration v1alpha1: every key of kube-proxy, and the block kubeIpvs. It is the
 * content of /configz and of the file of `--write-config-to`. `texts` are the valid texts of all settings, `unused` the given
 * values of settings without effect.
 */
export function effectiveConfiguration(
  texts: Readonly<Record<SettingKey, Given>>,
  unused: ReadonlyMap<string, JsonValue>,
): JsonObject {
  const values = new Map<string, JsonValue>();
  for (const { path, fallback } of UNUSED_SETTINGS)
    if (path !== undefined) values.set(path, unused.get(path) ?? fallback);
  for (const key of SETTING_KEYS) {
    const { path, type } = SETTINGS[key];
    const { source, text } = texts[key];
    if (path !== undefined) values.set(path, DISCOVERED_NAMES.includes(source) ? "" : jsonOf(type, text));
  }
  // In the file an empty address means the default address.
  const off = SERVERS.filter(({ key }) => texts[key].text === "").map(({ name }) => name);
  for (const { key, name } of SERVERS)
    values.set(key, off.includes(name) ? SETTINGS[key].fallback : addressOf(key, texts[key].text));
  const disabled = new Set([...SETTINGS.disabledServers.parse(texts.disabledServers.text, valid), ...off]);
  values.set("kubeIpvs.disableServers", disabled.size === 0 ? null : [...disabled]);
  return [...values.keys()]
    .toSorted()
    .reduce<JsonObject>((root, path) => withValue(root, path.split("."), values.get(path) ?? null), {
      apiVersion: API_VERSION,
      kind: KIND,
    });
}

const SERVERS = [
  { key: "metricsBindAddress", name: "metrics" },
  { key: "healthzBindAddress", name: "healthz" },
] as const;

function addressOf(key: "metricsBindAddress" | "healthzBindAddress", text: string): string {
  const address = SETTINGS[key].parse(text, valid);
  return address === undefined ? text : addressPort(address.address, address.port);
}

/** The object with the value at the path. */
function withValue(object: JsonObject, [key = "", ...rest]: readonly string[], value: JsonValue): JsonObject {
  return { ...object, [key]: rest.length === 0 ? value : withValue(objectIn(object[key]), rest, value) };
}

function objectIn(value: JsonValue | undefined): JsonObject {
  // What is neither null nor a list is an object; TypeScript does not exclude readonly lists.
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as JsonObject) : {};
}

const valid = (): void => {};

function jsonOf(type: ValueType, text: string): JsonValue {
  switch (type) {
    case "boolean":
      return parseBoolean(text, valid);
    case "integer":
      return Number(text);
    case "duration":
      return formatDuration(parseDurationMs(text, valid));
    case "strings":
      return text === "" ? null : text.split(",").map((item) => item.trim());
    case "address":
    case "string":
    case "mask":
    case "amount":
      return text;
  }
}
