import { type Figure, figureText, isSameFigure } from "./figure.ts";

export type Verdict = "better" | "worse" | "within the spread" | "only old" | "only new";

/** A figure of two runs. */
export interface Comparison {
  readonly old: Figure | undefined;
  readonly fresh: Figure | undefined;
  readonly verdict: Verdict;
  /** New divided by old; undefined if one of them is missing or old is 0. */
  readonly ratio: number | undefined;
}

/** Smaller differences count as none, even if no samples of the two runs overlap: runs of one program differ by that much. */
const LEAST_DIFFERENCE = 0.05;
/** The same for a figure with one sample, which has no spread. */
const LEAST_DIFFERENCE_OF_ONE = 0.15;

/** Compares the figures of two runs, each with the one of the same name. Less is better for every figure. */
export function compare(old: readonly Figure[], fresh: readonly Figure[]): readonly Comparison[] {
  const known = old.map((figure) =>
    pair(
      figure,
      fresh.find((other) => isSameFigure(figure, other)),
    ),
  );
  const added = fresh.filter((figure) => !old.some((other) => isSameFigure(figure, other)));
  return [...known, ...added.map((figure) => pair(undefined, figure))];
}

function pair(old: Figure | undefined, fresh: Figure | undefined): Comparison {
  const ratio = old === undefined || fresh === undefined || old.value === 0 ? undefined : fresh.value / old.value;
  return { old, fresh, ratio, verdict: verdictOf(old, fresh) };
}

function verdictOf(old: Figure | undefined, fresh: Figure | undefined): Verdict {
  if (old === undefined) return "only new";
  if (fresh === undefined) return "only old";
  const least = Math.min(old.n, fresh.n) === 1 ? LEAST_DIFFERENCE_OF_ONE : LEAST_DIFFERENCE;
  const difference = fresh.value - old.value;
  const isLarge = Math.abs(difference) > least * Math.abs(old.value);
  const overlap = fresh.low <= old.high && old.low <= fresh.high;
  if (!isLarge || overlap) return "within the spread";
  return difference < 0 ? "better" : "worse";
}

/** The comparison as a table, with the figures that changed first, and a line with the number of each verdict. */
export function comparisonText(comparisons: readonly Comparison[]): string {
  const order: readonly Verdict[] = ["worse", "better", "within the spread", "only old", "only new"];
  const rows = comparisons
    .toSorted((a, b) => order.indexOf(a.verdict) - order.indexOf(b.verdict))
    .map(({ old, fresh, verdict, ratio }) => {
      const name = old ?? fresh;
      const cells = [
        `${name?.size}, ${name?.subject}, ${name?.scenario}: ${name?.metric}`,
        old === undefined ? "-" : figureText(old),
        fresh === undefined ? "-" : figureText(fresh),
        ratio === undefined ? "-" : `${Number(ratio.toPrecision(3))}`,
        verdict,
      ];
      return `| ${cells.join(" | ")} |`;
    });
  const counts = order
    .map((verdict) => [verdict, comparisons.filter((one) => one.verdict === verdict).length] as const)
    .filter(([, count]) => count > 0)
    .map(([verdict, count]) => `${count} ${verdict}`);
  return [
    "| figure | old | new | new/old | verdict |",
    "| --- | --- | --- | --- | --- |",
    ...rows,
    "",
    counts.join(", "),
    "",
  ].join("\n");
}
