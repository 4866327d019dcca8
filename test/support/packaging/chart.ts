import { LineChart } from "echarts/charts";
import { GridComponent, LegendComponent, TitleComponent } from "echarts/components";
import { init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";

use([GridComponent, LegendComponent, LineChart, SVGRenderer, TitleComponent]);

/** One line of a graph: its points are pairs of Unix time in seconds and value. */
export interface Line {
  readonly name: string;
  readonly points: readonly (readonly [timeSeconds: number, value: number])[];
}

/** A graph of the dashboard as a picture, in SVG. */
export function graph(title: string, unit: string, lines: readonly Line[]): string {
  const chart = init(null, null, { renderer: "svg", ssr: true, width: 560, height: 280 });
  const [first = 0] = lines.flatMap(({ points }) => points.map(([time]) => time)).toSorted((a, b) => a - b);
  chart.setOption({
    animation: false,
    backgroundColor: "#ffffff",
    title: { text: unit === "short" ? title : `${title} (${unit})`, textStyle: { fontSize: 14 } },
    legend: { bottom: 0, type: "plain", itemHeight: 8, textStyle: { fontSize: 11 } },
    grid: { left: 56, right: 16, top: 40, bottom: 64 },
    xAxis: { type: "value", name: "s", min: 0 },
    yAxis: { type: "value", min: 0 },
    series: lines.map(({ name, points }) => ({
      name,
      type: "line",
      showSymbol: false,
      data: points.map(([time, value]) => [Math.round(time - first), value]),
    })),
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}
