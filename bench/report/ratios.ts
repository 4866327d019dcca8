import type { Figure } from "./figure.ts";

const AGENT = "kube-ipvs";
const BYTES = "floor: the same bytes";
const TOOLS = "floor: ipvsadm, ipset, ip";
const REFERENCE_SIZE = "1000x10";

interface Ratio {
  readonly metric: string;
  readonly scenario: string;
  readonly of: string;
  readonly to: { readonly subject: string; readonly metric: string; readonly size?: string };
}

/** Less is better for all; the scenario is that of both figures. */
const RATIOS: readonly Ratio[] = [
  {
    metric: "cold start to the same bytes",
    scenario: "sync",
    of: "cold start",
    to: { subject: BYTES, metric: "cold start" },
  },
  {
    metric: "cold start to ipvsadm, ipset, ip",
    scenario: "sync",
    of: "cold start",
    to: { subject: TOOLS, metric: "cold start" },
  },
  {
    metric: "one change to the same bytes",
    scenario: "sync",
    of: "one change, p50",
    to: { subject: BYTES, metric: "one change, p50" },
  },
  {
    metric: "one change to that of 1000x10",
    scenario: "one endpoint changes",
    of: "API to kernel, p50",
    to: { subject: AGENT, metric: "API to kernel, p50", size: REFERENCE_SIZE },
  },
  {
    metric: "whole agent, cold start to keepalived",
    scenario: "cold start",
    of: "all programmed",
    to: { subject: "keepalived", metric: "all programmed" },
  },
  {
    metric: "whole agent, one change to keepalived",
    scenario: "one endpoint changes",
    of: "API to kernel, p50",
    to: { subject: "keepalived", metric: "API to kernel, p50" },
  },
];

/** The ratios of the agent to the floors and to other programs, as figures of the scenario "ratios". */
export function ratiosOf(figures: readonly Figure[]): readonly Figure[] {
  const sizes = [...new Set(figures.map(({ size }) => size))];
  return sizes.flatMap((size) => RATIOS.flatMap((ratio) => ratioOf(figures, size, ratio)));
}

function ratioOf(figures: readonly Figure[], size: string, { metric, scenario, of, to }: Ratio): readonly Figure[] {
  const find = (subject: string, wanted: string, at: string) =>
    figures.find(
      (one) => one.subject === subject && one.size === at && one.scenario === scenario && one.metric === wanted,
    );
  const own = find(AGENT, of, size);
  const other = find(to.subject, to.metric, to.size ?? size);
  if (own === undefined || other === undefined || own === other || other.low === 0) return [];
  const range = { low: own.low / other.high, high: own.high / other.low };
  const n = Math.min(own.n, other.n);
  const name = { subject: AGENT, size, scenario: "ratios", metric, unit: "x", warmUp: 0 } as const;
  return [{ ...name, n, value: own.value / other.value, ...range }];
}
