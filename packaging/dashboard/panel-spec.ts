/** A graph or a number of the dashboard. */
export interface PanelSpec {
  readonly title: string;
  /** What it shows and when to act; Grafana shows it beside the title. */
  readonly description: string;
  readonly kind: "stat" | "timeseries";
  /** A unit of Grafana. */
  readonly unit: "short" | "s" | "ops" | "bytes" | "percentunit" | "Bps";
  /** Expressions by the legend of their lines. */
  readonly queries: Readonly<Record<string, string>>;
  /** From this value on the number is red. */
  readonly redFrom?: number;
}

/** A row answers one question. */
export interface RowSpec {
  readonly question: string;
  readonly panels: readonly PanelSpec[];
}

/** What the variables of the dashboard select; a Prometheus without the label cluster matches ".*". */
const SELECTED = 'job="kube-proxy",cluster=~"$cluster",node=~"$node"';

/** The selected series of a metric. */
export const of = (metric: string, more = "") => `${metric}{${SELECTED}${more && `,${more}`}}`;

/** How fast counters grow. */
export const rate = (metric: string, more = "") => `rate(${of(metric, more)}[$__rate_interval])`;

/** By how much counters grow. */
export const increase = (metric: string, more = "") => `increase(${of(metric, more)}[$__rate_interval])`;

/** A quantile of a histogram. */
export const quantile = (q: number, metric: string) =>
  `histogram_quantile(${q}, sum by (le) (${rate(`${metric}_bucket`)}))`;

/** The traffic of the selected Services in bytes or so a second, by port. */
export const traffic = (counter: string) =>
  `sum by (namespace, service, port) (${rate(`kube_ipvs_service_${counter}_total`, 'service=~"$service"')})`;

/** The legend of such lines. */
export const BY_PORT = "{{namespace}}/{{service}}:{{port}}";

/** Counters that begin with the first failure are 0 before. */
export const orZero = (expression: string) => `${expression} or vector(0)`;

/** A number. */
export function stat(title: string, description: string, expression: string, more: Partial<PanelSpec> = {}): PanelSpec {
  return { title, description, kind: "stat", unit: "short", queries: { "": expression }, ...more };
}

/** A graph. */
export function lines(
  title: string,
  unit: PanelSpec["unit"],
  description: string,
  queries: Readonly<Record<string, string>>,
): PanelSpec {
  return { title, description, kind: "timeseries", unit, queries };
}
