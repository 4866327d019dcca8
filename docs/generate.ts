/** Writes the tables of the documents that follow from the code: `npm run docs`. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  annotationTable,
  commandLineTable,
  kubeadmConfigMap,
  metricTable,
  settingTable,
  unusedTable,
} from "./tables.ts";

/** Documents with tables between markers, by name: a table "flags" is between `<!-- flags -->` and `<!-- /flags -->`. */
export const TABLES: Readonly<Record<string, Readonly<Record<string, () => string>>>> = {
  "configuration.md": {
    "command line": commandLineTable,
    settings: settingTable,
    "without effect": unusedTable,
    annotations: annotationTable,
  },
  "migration.md": { kubeadm: kubeadmConfigMap },
  "metrics-and-events.md": {
    "metrics of kube-ipvs": () => metricTable("kube_ipvs_"),
    "metrics of kube-proxy": () => metricTable("kubeproxy_"),
    "metrics of Kubernetes programs": () => metricTable("rest_client_", "kubernetes_", "go_"),
  },
};

/** The text with each table between its markers. Throws if a marker is missing. */
export function withTables(text: string, tables: Readonly<Record<string, () => string>>): string {
  return Object.entries(tables).reduce((before, [name, table]) => {
    const [begin, end] = [`<!-- ${name} -->\n`, `<!-- /${name} -->`];
    const [head, rest] = cut(before, begin);
    const [, tail] = cut(rest, end);
    return `${head}${begin}\n${table()}\n\n${end}${tail}`;
  }, text);
}

function cut(text: string, marker: string): readonly [string, string] {
  const at = text.indexOf(marker);
  if (at < 0) throw new Error(`There is no marker "${marker.trim()}"`);
  return [text.slice(0, at), text.slice(at + marker.length)];
}

if (import.meta.main) {
  for (const [name, tables] of Object.entries(TABLES)) {
    const path = join(import.meta.dirname, name);
    writeFileSync(path, withTables(readFileSync(path, "utf8"), tables));
  }
}
