import { expect, test } from "vitest";
import { type BenchEvent, type Figure, figuresOf, figureText, valueText } from "../../../bench/report/figure.ts";

type Samples = BenchEvent & { kind: "samples" };

const NAME = { kind: "samples", subject: "kube-ipvs", size: "100x10", scenario: "cold start", unit: "ms" } as const;
const round = (metric: string, ...samples: readonly number[]): Samples => ({
  ...NAME,
  metric,
  samples,
  as: "rounds",
  warmUp: 0,
});

test("rounds of one metric become one figure, whatever comes between them", () => {
  const [all, cpu, ...more] = figuresOf([round("all", 30), round("CPU", 5), round("all", 10), round("all", 20)]);
  expect(all).toMatchObject({ metric: "all", value: 20, low: 10, high: 30, n: 3 });
  expect(cpu).toMatchObject({ metric: "CPU", value: 5, low: 5, high: 5, n: 1 });
  expect(more).toEqual([]);
});

test("samples of a distribution become one figure for each percentile, with the warm-up and the quantiles", () => {
  const samples = Array.from({ length: 100 }, (_, index) => index + 1);
  const figures = figuresOf([{ ...round("latency"), samples, as: "percentiles", warmUp: 20 }]);
  expect(figures.map(({ metric, value, n, warmUp }) => [metric, value, n, warmUp])).toEqual([
    ["latency, p50", 50, 100, 20],
    ["latency, p99", 99, 100, 20],
    ["latency, max", 100, 100, 20],
  ]);
  expect(figures[0]?.quantiles).toHaveLength(101);
  expect([0, 50, 100].map((percent) => figures[0]?.quantiles?.[percent])).toEqual([1, 51, 100]);
});

test("a metric without samples is no figure", () => {
  expect(figuresOf([round("all"), round("CPU", Number.NaN)])).toEqual([]);
});

test("a value is shown with its spread and the number of samples", () => {
  const figure = { ...NAME, metric: "all", warmUp: 0 };
  const text = (parts: Pick<Figure, "value" | "low" | "high" | "n">) => figureText({ ...figure, ...parts });
  expect(text({ value: 1234.4, low: 1200, high: 1300, n: 3 })).toBe("1234 ms (1200-1300, n 3)");
  expect(text({ value: 23_800, low: 9_900, high: 30_000, n: 3 })).toBe("23.8 s (9900 ms-30 s, n 3)");
  expect(text({ value: 2.71234, low: 2.71234, high: 2.71234, n: 1 })).toBe("2.71 ms (n 1)");
  expect(figureText({ ...figure, value: 3, low: 3, high: 4, n: 300, warmUp: 20 })).toBe(
    "3 ms (3-4, n 300, warm-up 20)",
  );
  expect([valueText(2.9512, "x"), valueText(3, ""), valueText(0.3, "%")]).toEqual(["2.95", "3", "0.3 %"]);
});
