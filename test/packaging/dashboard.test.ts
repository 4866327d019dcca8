import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { metricNames } from "../../docs/tables.ts";
import { ROWS } from "../../packaging/dashboard/panels.ts";
import { DASHBOARD_FILE, dashboardText } from "../../packaging/kustomize/write.ts";

const text = readFileSync(DASHBOARD_FILE, "utf8");
const { panels, templating } = JSON.parse(text);
const expressions: readonly string[] = panels.flatMap(({ targets = [] }: { targets?: { expr: string }[] }) =>
  targets.map(({ expr }) => expr),
);

test("the file of the dashboard is written from its panels: npm run manifests", () => {
  expect(text).toBe(dashboardText());
});

test("every query names existing metrics, the job and the variables", () => {
  const known = new Set(metricNames().flatMap((name) => [name, `${name}_bucket`]));
  for (const expression of expressions) {
    const named = [...expression.matchAll(/\b(?:kube_ipvs|kubeproxy|rest_client)_\w+/g)].map(([name]) => name);
    expect(named.filter((name) => !known.has(name))).toEqual([]);
    expect(expression).toContain('{job="kube-proxy",cluster=~"$cluster",node=~"$node"');
  }
});

describe("the layout", () => {
  test("has a row for each question, and each panel says what it shows", () => {
    const rows = panels.filter(({ type }: { type: string }) => type === "row");
    expect(rows.map(({ title }: { title: string }) => title)).toEqual(ROWS.map(({ question }) => question));
    for (const { type, description } of panels) if (type !== "row") expect(description).toMatch(/^[A-Z].*\.$/);
  });

  test("has no panel over another one, and unique numbers", () => {
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }: { gridPos: Record<"x" | "y" | "w" | "h", number> }) =>
      Array.from({ length: w * h }, (_, at) => `${x + (at % w)},${y + Math.floor(at / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(new Set(panels.map(({ id }: { id: number }) => id)).size).toBe(panels.length);
  });

  test("has the variables data source, cluster, node and service, of which everything is selected at first", () => {
    expect(templating.list.map(({ name }: { name: string }) => name)).toEqual([
      "datasource",
      "cluster",
      "node",
      "service",
    ]);
    for (const variable of templating.list.slice(1))
      expect(variable).toMatchObject({ allValue: ".*", includeAll: true, multi: true });
  });
});
