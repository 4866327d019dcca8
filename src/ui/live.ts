import type { HistoryPoint, PageHistory, PageMessages } from "../explain/page/page-messages.ts";

/** "live": messages come; "lost": the browser connects again; "refused": the server has too many clients, or access is denied. */
export type Connection = "connecting" | "live" | "lost" | "refused";

/** All that the agent has sent. */
export interface Live extends Omit<PageMessages, "history"> {
  readonly connection: Connection;
  readonly points: readonly HistoryPoint[];
  /** The clock of this browser minus that of the node. */
  readonly skewMs: number;
}

export const START: Live = { connection: "connecting", points: [], skewMs: 0 };
const KEPT_POINTS = 360;

export type Change = PageMessages | { readonly connection: Connection };

/** What is shown after a message. */
export function after(live: Live, change: Change, nowMs: number): Live {
  if ("connection" in change) return { ...live, connection: change.connection };
  const { history, overview, ...others } = change;
  return {
    ...live,
    ...others,
    ...(history && { points: merged(live.points, history) }),
    ...(overview && { overview, skewMs: nowMs - overview.atUnixMs }),
    connection: "live",
  };
}

function merged(before: readonly HistoryPoint[], { isWhole, points }: PageHistory): readonly HistoryPoint[] {
  if (isWhole) return points;
  const first = points[0]?.step ?? Number.POSITIVE_INFINITY;
  return [...before.filter(({ step }) => step < first), ...points].slice(-KEPT_POINTS);
}
