import { BarChart, LineChart } from "echarts/charts";
import { GridComponent, LegendComponent, TitleComponent } from "echarts/components";
import { init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";
import type { Figure } from "./figure.ts";
import type { PlotList } from "./tables.ts";

use([BarChart, GridComponent, LegendComponent, LineChart, SVGRenderer, TitleComponent]);

/** A line of a plot: pairs of x and y. */
interface Line {
  readonly name: string;
  readonly points: readonly (readonly [number, number])[];
}

interface Axes {
  readonly x: { readonly name: string; readonly type: "log" | "value" };
  readonly y: { readonly name: string; readonly type: "log" | "value" };
}

const SIZES_AXIS = { name: "Services", type: "log" } as const;

/** A plot of one metric against the number of Services, for each program. */
interface SizePlot {
  readonly file: string;
  readonly title: string;
  readonly unit: string;
  readonly scale: "log" | "value";
  readonly of: readonly { readonly scenario: string; readonly metric: string; readonly name?: string }[];
}

const SIZE_PLOTS: readonly SizePlot[] = [
  {
    file: "cold-start.svg",
    title: "Cold start",
    unit: "ms",
    scale: "log",
    of: [
      { scenario: "cold start", metric: "all programmed", name: "whole program" },
      { scenario: "sync", metric: "cold start", name: "objects in memory" },
    ],
  },
  {
    file: "resync.svg",
    title: "Resync",
    unit: "ms",
    scale: "log",
    of: [
      { scenario: "sync", metric: "resync", name: "resync" },
      { scenario: "sync", metric: "warm restart", name: "warm restart" },
    ],
  },
  {
    file: "memory.svg",
    title: "Memory of the program",
    unit: "MiB",
    scale: "value",
    of: [
      { scenario: "idle", metric: "RSS", name: "RSS" },
      { scenario: "cold start", metric: "peak RSS", name: "peak RSS of a cold start" },
    ],
  },
  {
    file: "cpu.svg",
    title: "CPU",
    unit: "% of a core",
    scale: "value",
    of: [
      { scenario: "idle", metric: "CPU, share of a core", name: "idle" },
      { scenario: "churn", metric: "CPU, share of a core", name: "churn" },
    ],
  },
];

/** Clusters of other shapes are in the tables only. */
const USUAL_SIZE = /^(\d+)x10$/;
const CHANGE_FILE = "one-change.svg";

/** Renders the plots for which there are figures: the text of each file, and the list for the page. */
export function plotsOf(figures: readonly Figure[]): {
  readonly list: PlotList;
  readonly files: ReadonlyMap<string, string>;
} {
  const files = new Map<string, string>();
  const list: (readonly [string, string])[] = [];
  const add = (file: string, title: string, axes: Axes, lines: readonly Line[]) => {
    if (lines.length === 0) return;
    files.set(file, render(title, axes, lines));
    list.push([file, title]);
  };
  for (const plot of SIZE_PLOTS) {
    const axes = { x: SIZES_AXIS, y: { name: plot.unit, type: plot.scale } } as const;
    add(plot.file, `${plot.title}, by number of Services with 10 endpoints`, axes, sizeLines(figures, plot));
  }
  const axes = { x: { name: "percentile", type: "value" }, y: { name: "ms", type: "log" } } as const;
  add(CHANGE_FILE, "One endpoint changes: API to kernel", axes, changeLines(figures));
  return { list, files };
}

function sizeLines(figures: readonly Figure[], { of }: SizePlot): readonly Line[] {
  return of.flatMap(({ scenario, metric, name }) => {
    const own = figures.filter((figure) => figure.scenario === scenario && figure.metric === metric);
    return [...Map.groupBy(own, ({ subject }) => subject)].flatMap(([subject, group]) => {
      const points = group
        .flatMap(({ size, value }) => {
          const [, services] = USUAL_SIZE.exec(size) ?? [];
          return services === undefined ? [] : [[Number(services), Number(value.toPrecision(4))] as const];
        })
        .toSorted(([a], [b]) => a - b);
      return points.length === 0 ? [] : [{ name: lineName(subject, name ?? metric), points }];
    });
  });
}

/** A floor has one line only. */
function lineName(subject: string, text: string): string {
  return subject.startsWith("floor") ? subject : `${subject}, ${text}`;
}

function changeLines(figures: readonly Figure[]): readonly Line[] {
  return figures
    .filter(
      ({ scenario, size, quantiles }) =>
        scenario === "one endpoint changes" && quantiles !== undefined && USUAL_SIZE.test(size),
    )
    .map(({ subject, size, quantiles = [] }) => ({
      name: `${subject}, ${size}`,
      points: quantiles.map((value, percent) => [percent, Number(value.toPrecision(4))] as const),
    }));
}

/** Room for the names of lines at the right: the renderer has no widths of letters. */
const LEGEND_WIDTH = 290;
const LINE_HEIGHT = 18;

function render(title: string, { x, y }: Axes, lines: readonly Line[]): string {
  const height = Math.max(320, 90 + LINE_HEIGHT * lines.length);
  const chart = init(null, null, { renderer: "svg", ssr: true, width: 520 + LEGEND_WIDTH, height });
  chart.setOption({
    animation: false,
    backgroundColor: "#ffffff",
    title: { text: title, textStyle: { fontSize: 14 } },
    legend: {
      orient: "vertical",
      left: 520,
      top: 48,
      width: LEGEND_WIDTH - 20,
      align: "left",
      itemHeight: 8,
      itemGap: 4,
      textStyle: { fontSize: 11, width: LEGEND_WIDTH - 50, overflow: "truncate" },
    },
    grid: { left: 64, right: LEGEND_WIDTH + 20, top: 56, bottom: 48 },
    xAxis: { type: x.type, name: x.name, nameLocation: "middle", nameGap: 26, min: "dataMin" },
    yAxis: { type: y.type, name: y.name, ...(y.type === "value" ? { min: 0 } : {}) },
    series: lines.map(({ name, points }) => ({
      name,
      type: "line",
      showSymbol: points.length < 20,
      data: points.map(([at, value]) => [at, value]),
    })),
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}
