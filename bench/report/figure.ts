import { percentileSpread, spreadOf } from "./statistics.ts";

export const UNITS = ["ms", "us", "MiB", "KiB", "%", "x", ""] as const;
/** "x" is a ratio, "" a number of objects. */
export type Unit = (typeof UNITS)[number];

/** What a figure is of. */
export interface FigureName {
  /** The program that was measured, such as "kube-ipvs" or "keepalived". */
  readonly subject: string;
  /** The size of the cluster, as `sizeText` writes it. */
  readonly size: string;
  readonly scenario: string;
  readonly metric: string;
}

/** One measured value. */
export interface Figure extends FigureName {
  readonly unit: Unit;
  readonly value: number;
  /** The spread of the value: between rounds, or between parts of the samples. */
  readonly low: number;
  readonly high: number;
  /** Number of samples. */
  readonly n: number;
  /** Number of samples before them that do not count. */
  readonly warmUp: number;
  /** The percentiles 0, 1, ... 100 of all samples, for the plot of a distribution. */
  readonly quantiles?: readonly number[];
  /** What the reader must know to understand the value. */
  readonly note?: string;
}

/** What a process of a run sends to the one that collects: one JSON text a line. */
export type BenchEvent =
  | ({ readonly kind: "samples"; readonly warmUp: number; readonly note?: string } & FigureName & {
        readonly unit: Unit;
        readonly samples: readonly number[];
        /** "rounds": the median is the value; "percentiles": p50, p99 and the largest are values of their own. */
        readonly as: "rounds" | "percentiles";
      })
  | {
      readonly kind: "failed";
      readonly subject: string;
      readonly size: string;
      readonly scenario: string;
      readonly reason: string;
    }
  | { readonly kind: "guest"; readonly facts: Readonly<Record<string, string | number>> }
  | { readonly kind: "progress"; readonly text: string }
  | { readonly kind: "begin" | "end"; readonly step: number };

export type Failure = Omit<BenchEvent & { kind: "failed" }, "kind">;

const PERCENTILES = [
  ["p50", 0.5],
  ["p99", 0.99],
  ["max", 1],
] as const;

/**
 * The figures of all samples of one name, which come in the order of the rounds. Rounds have one sample each and give one
 * figure; percentiles give one figure each.
 */
export function figuresOf(events: readonly (BenchEvent & { kind: "samples" })[]): readonly Figure[] {
  const groups = Map.groupBy(events, ({ subject, size, scenario, metric }) =>
    [subject, size, scenario, metric].join("\n"),
  );
  return [...groups.values()].flatMap((group) => figuresOfGroup(group));
}

function figuresOfGroup(group: readonly (BenchEvent & { kind: "samples" })[]): readonly Figure[] {
  const [first] = group;
  const samples = group.flatMap((event) => event.samples).filter((sample) => Number.isFinite(sample));
  if (first === undefined || samples.length === 0) return [];
  const { subject, size, scenario, metric, unit, warmUp, note } = first;
  const name = { subject, size, scenario, unit, n: samples.length, warmUp, ...(note === undefined ? {} : { note }) };
  if (first.as === "rounds") return [{ ...name, metric, ...spreadOf(samples) }];
  const sorted = samples.toSorted((a, b) => a - b);
  const quantiles = Array.from(
    { length: 101 },
    (_, percent) => sorted[Math.ceil((percent / 100) * (sorted.length - 1))] ?? 0,
  );
  return PERCENTILES.map(([title, share]) => ({
    ...name,
    metric: `${metric}, ${title}`,
    ...percentileSpread(samples, share),
    ...(title === "p50" ? { quantiles } : {}),
  }));
}

/** Whether both are of the same thing. */
export function isSameFigure(a: FigureName, b: FigureName): boolean {
  return a.subject === b.subject && a.size === b.size && a.scenario === b.scenario && a.metric === b.metric;
}

/** A value with its unit, with three significant digits; from ten seconds on in seconds. */
export function valueText(value: number, unit: Unit): string {
  if (unit === "ms" && value >= 10_000) return `${Number((value / 1000).toPrecision(3))} s`;
  const digits = Math.abs(value) >= 1000 ? Math.round(value) : Number(value.toPrecision(3));
  return unit === "" || unit === "x" ? `${digits}` : `${digits} ${unit}`;
}

/** A value with its spread, the number of samples, and of those before them: "1.35 s (1.32-1.41, n 300, warm-up 20)". */
export function figureText({ value, low, high, unit, n, warmUp }: Figure): string {
  const text = valueText(value, unit);
  const counts = `n ${n}${warmUp === 0 ? "" : `, warm-up ${warmUp}`}`;
  if (n === 1 || low === high) return `${text} (${counts})`;
  const [from, to] = [valueText(low, unit), valueText(high, unit)];
  const unitOf = (one: string) => one.split(" ")[1];
  const areAlike = unitOf(from) === unitOf(text) && unitOf(to) === unitOf(text);
  return `${text} (${areAlike ? `${from.split(" ")[0]}-${to.split(" ")[0]}` : `${from}-${to}`}, ${counts})`;
}
