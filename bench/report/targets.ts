import type { Figure, FigureName } from "./figure.ts";

/** A value that the agent should not exceed. */
export interface Target extends FigureName {
  readonly most: number;
  /** Where the target is for another size or condition. */
  readonly note?: string;
}

const AGENT = "kube-ipvs";

function rss(size: string, most: number, note?: string): Target {
  const target = { subject: AGENT, size, scenario: "idle", metric: "RSS", most };
  return note === undefined ? target : { ...target, note };
}

export const TARGETS: readonly Target[] = [
  { subject: AGENT, size: "10000x10", scenario: "ratios", metric: "cold start to the same bytes", most: 2 },
  { subject: AGENT, size: "10000x10", scenario: "one endpoint changes", metric: "API to kernel, p50", most: 3 },
  { subject: AGENT, size: "10000x10", scenario: "one endpoint changes", metric: "API to kernel, p99", most: 12 },
  { subject: AGENT, size: "50000x10", scenario: "one endpoint changes", metric: "API to kernel, p99", most: 30 },
  { subject: AGENT, size: "50000x10", scenario: "ratios", metric: "one change to that of 1000x10", most: 1.3 },
  { subject: AGENT, size: "10000x10", scenario: "idle", metric: "CPU, share of a core", most: 0.3 },
  { subject: AGENT, size: "50000x10", scenario: "idle", metric: "CPU, share of a core", most: 1 },
  rss("1000x10", 80),
  rss("10000x10", 130, "for 15 endpoints"),
  rss("50000x10", 280),
];

/** The target of a figure, if there is one. */
export function targetOf({ subject, size, scenario, metric }: FigureName): Target | undefined {
  return TARGETS.find(
    (target) =>
      target.subject === subject && target.size === size && target.scenario === scenario && target.metric === metric,
  );
}

/** "target 3: met" or "target 3: missed"; of a noisy run only "target 3", because its figures decide nothing. */
export function targetText(figure: Figure, isNoisy: boolean): string | undefined {
  const target = targetOf(figure);
  if (target === undefined) return undefined;
  const note = target.note === undefined ? "" : ` ${target.note}`;
  const verdict = figure.value <= target.most ? ": met" : ": missed";
  return `target ${target.most}${note}${isNoisy ? "" : verdict}`;
}
