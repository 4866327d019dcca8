import { TRAFFIC_METRICS } from "../../src/serve/metrics/traffic/traffic-text.ts";
import type { PanelSpec } from "./panel-spec.ts";
import { ROWS } from "./panels.ts";

const COLUMNS = 24;
const DATASOURCE = { type: "prometheus", uid: "$datasource" };

/** The dashboard as Grafana imports it (schema version 39, from Grafana 10.1 on). */
export function dashboard(): object {
  const panels: object[] = [];
  let y = 0;
  for (const { question, panels: specs } of ROWS) {
    panels.push({
      id: panels.length + 1,
      type: "row",
      title: question,
      collapsed: false,
      panels: [],
      gridPos: { h: 1, w: COLUMNS, x: 0, y },
    });
    y++;
    let x = 0;
    for (const spec of specs) {
      const { w, h } = sizeOf(spec);
      if (x + w > COLUMNS) {
        x = 0;
        y += h;
      }
      panels.push({ id: panels.length + 1, ...panel(spec), gridPos: { h, w, x, y } });
      x += w;
    }
    y += Math.max(...specs.map((spec) => sizeOf(spec).h));
  }
  return {
    uid: "kube-ipvs",
    title: "kube-ipvs",
    tags: ["kubernetes", "networking"],
    schemaVersion: 39,
    editable: true,
    timezone: "browser",
    refresh: "30s",
    time: { from: "now-1h", to: "now" },
    templating: {
      list: [
        datasource(),
        variable("cluster", "up{}"),
        variable("node", 'up{cluster=~"$cluster"}'),
        variable("service", `${TRAFFIC_METRICS.connections.name}{cluster=~"$cluster",node=~"$node"}`),
      ],
    },
    panels,
  };
}

function sizeOf({ kind }: PanelSpec): { readonly w: number; readonly h: number } {
  return kind === "stat" ? { w: 3, h: 4 } : { w: 8, h: 8 };
}

function panel({ title, description, kind, unit, queries, redFrom }: PanelSpec): object {
  const steps = [{ color: "green", value: null }, ...(redFrom === undefined ? [] : [{ color: "red", value: redFrom }])];
  return {
    type: kind,
    title,
    description,
    datasource: DATASOURCE,
    fieldConfig: { defaults: { unit, min: 0, thresholds: { mode: "absolute", steps } }, overrides: [] },
    options:
      kind === "stat"
        ? { reduceOptions: { calcs: ["lastNotNull"], fields: "", values: false }, colorMode: "value" }
        : {
            legend: { displayMode: "list", placement: "bottom", showLegend: true },
            tooltip: { mode: "multi", sort: "desc" },
          },
    targets: Object.entries(queries).map(([legendFormat, expr], index) => ({
      refId: String.fromCharCode("A".charCodeAt(0) + index),
      datasource: DATASOURCE,
      expr,
      legendFormat,
      range: kind !== "stat",
      instant: kind === "stat",
    })),
  };
}

function datasource(): object {
  return { name: "datasource", label: "Data source", type: "datasource", query: "prometheus", current: {}, hide: 0 };
}

/** A variable with the values of a label of the agents. */
function variable(label: string, of: string): object {
  const selector = of.replace("{", '{job="kube-proxy",').replace(",}", "}");
  return {
    name: label,
    label,
    type: "query",
    datasource: DATASOURCE,
    query: { query: `label_values(${selector}, ${label})`, refId: label },
    definition: `label_values(${selector}, ${label})`,
    includeAll: true,
    multi: true,
    allValue: ".*",
    current: { text: "All", value: "$__all" },
    refresh: 2,
    sort: 1,
  };
}
