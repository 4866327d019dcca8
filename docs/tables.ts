import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Registry } from "prom-client";
import { COMMAND_LINE_FLAGS, type CommandLineFlag } from "../src/config/command-line-flags.ts";
import { SETTINGS } from "../src/config/settings.ts";
import { UNUSED_REASONS, UNUSED_SETTINGS } from "../src/config/unused-settings.ts";
import { registerBuildMetrics } from "../src/serve/metrics/build-metrics.ts";
import { registerConfigMetrics } from "../src/serve/metrics/config-metrics.ts";
import { registerEventMetrics } from "../src/serve/metrics/event-metrics.ts";
import { registerFlowMetrics } from "../src/serve/metrics/flow-metrics.ts";
import { registerHealthCheckMetrics } from "../src/serve/metrics/health-check-metrics.ts";
import { Metrics } from "../src/serve/metrics/metrics.ts";
import { registerGoroutines } from "../src/serve/metrics/process-metrics.ts";
import { RestClientMetrics } from "../src/serve/metrics/rest-client-metrics.ts";
import { registerTrafficMetrics } from "../src/serve/metrics/traffic/traffic-metrics.ts";
import { SERVER_METRIC, TRAFFIC_METRICS } from "../src/serve/metrics/traffic/traffic-text.ts";
import { registerWatchMetrics } from "../src/serve/metrics/watch-metrics.ts";
import { SOURCE_RANGES_ANNOTATION } from "../src/sources/decode/decode-exposure.ts";
import { OVERRIDE_ANNOTATIONS } from "../src/sources/decode/decode-overrides.ts";
import { WEIGHTS_ANNOTATION } from "../src/sources/decode/decode-slice.ts";

type Row = readonly string[];

/** Every flag that is no setting. */
export function commandLineTable(): string {
  const rows = Object.entries<CommandLineFlag>(COMMAND_LINE_FLAGS).map(([flag, { placeholder, help }]) => {
    const value = placeholder === undefined ? "" : ` ${placeholder}`;
    return [`\`--${flag}${value}\``, help];
  });
  return markdownTable(["flag", "meaning"], rows);
}

/** Every setting of kube-proxy that is accepted and has no effect. */
export function unusedTable(): string {
  const code = (text: string) => (text === "" ? "" : `\`${text}\``);
  const rows = UNUSED_SETTINGS.map(({ flag, path = "", reason }) => [
    code(path),
    code(flag === undefined ? "" : `--${flag}`),
    UNUSED_REASONS[reason],
  ]);
  return markdownTable(["in the file", "flag", "reason"], rows);
}

/** Every setting with its flag, its path in the file, its default, the commands that use it, and its help. */
export function settingTable(): string {
  const rows = Object.values(SETTINGS).map((setting) => {
    const { flag, aliases = [], short, placeholder, fallback, commands, help } = setting;
    const path = setting.path === undefined ? "" : `\`${setting.path}\``;
    const change = setting.path === undefined ? "" : setting.live === true ? "live" : "restart";
    const names = [flag, ...aliases].map((name) => (name.length === 1 ? `-${name}` : `--${name}`));
    const all = short === undefined || short === flag ? names : [`-${short}`, ...names];
    const value = placeholder === undefined ? "" : ` ${placeholder}`;
    return [all.map((name) => `\`${name}${value}\``).join(", "), path, fallback, change, commands.join(", "), help];
  });
  return markdownTable(["flag", "in the file", "default", "change", "used by", "meaning"], rows);
}

/** The ConfigMap that kubeadm makes, as an indented block. */
export function kubeadmConfigMap(): string {
  const path = join(import.meta.dirname, "../test/fixtures/kubeadm/kube-proxy-configmap.yaml");
  return readFileSync(path, "utf8").trimEnd().replaceAll(/^/gm, "    ");
}

/** Every annotation that is read, with the kind of object that has it. */
export function annotationTable(): string {
  const rows = [
    ...[...OVERRIDE_ANNOTATIONS, SOURCE_RANGES_ANNOTATION].map((annotation) => ["Service", annotation] as const),
    ["EndpointSlice", WEIGHTS_ANNOTATION] as const,
  ].map(([kind, { name, value, effect }]) => [`\`${name}\``, kind, value, effect]);
  return markdownTable(["annotation", "on", "value", "effect"], rows);
}

/** Every metric whose name has one of the prefixes, with its type, its labels and its help. */
export function metricTable(...prefixes: readonly string[]): string {
  const rows = metrics()
    .filter(({ name }) => prefixes.some((prefix) => name.startsWith(prefix)))
    .map((metric) => [`\`${metric.name}\``, String(metric.type), labelsOf(metric).join(", "), metric.help]);
  return markdownTable(["metric", "type", "labels", "meaning"], rows.toSorted(byName));
}

/** The names of all metrics but those of prom-client. */
export function metricNames(): readonly string[] {
  return metrics().map(({ name }) => name);
}

/** As `run` registers them. */
function metrics() {
  const registry = new Registry();
  const clock = { now: () => 0, date: () => new Date(0) };
  const netlink = () => ({ sends: 0, messages: 0, errors: new Map() });
  new Metrics({ registry, families: [], marks: 0, clock, netlink });
  registerWatchMetrics(registry, clock, () => []);
  registerConfigMetrics(registry, clock, () => ({ valid: true, loadedAtMs: 0 }));
  registerEventMetrics(registry, () => ({ sent: 0, known: 0, dropped: 0, failed: 0 }));
  registerFlowMetrics(registry, []);
  registerBuildMetrics(registry, { version: "", node: "", platform: "" });
  registerGoroutines(registry);
  new RestClientMetrics(registry, clock);
  registerHealthCheckMetrics(registry, () => ({ listening: 0, refused: 0 }));
  registerTrafficMetrics(registry);
  return [...registry.getMetricsAsArray(), ...Object.values(TRAFFIC_METRICS), SERVER_METRIC];
}

/** prom-client keeps them in a field that its types do not have. */
function labelsOf(metric: object): readonly string[] {
  return "labelNames" in metric && Array.isArray(metric.labelNames) ? metric.labelNames : [];
}

function byName([a = ""]: Row, [b = ""]: Row): number {
  return a < b ? -1 : 1;
}

function markdownTable(heads: Row, rows: readonly Row[]): string {
  const cells = [heads, ...rows].map((row) => row.map((cell) => cell.replaceAll("|", "\\|")));
  const widths = heads.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const line = (row: Row) => `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  const [head = [], ...body] = cells;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...body.map(line)].join("\n");
}
