import type { DriftCount } from "../../sync/sync-report.ts";
import type { AgentReport } from "../agent-report.ts";
import type { Finding, Severity } from "../finding.ts";
import type { Explanation } from "../service/explain-service.ts";

/*
 * What the agent sends to the status page, as JSON. Times are in ms since the epoch.
 */

/** The Services in one page of the list. */
export const ROWS = 50;

/** What a browser looks at. */
export interface PageView {
  /** Words; a Service matches if its name, addresses and ports contain all of them. */
  readonly search: string;
  /** Whether only Services with an error or a warning are listed. */
  readonly onlyProblems: boolean;
  /** The number of Services before the first row. */
  readonly offset: number;
  /** The Service that is shown, as NAMESPACE/NAME; "" for none. */
  readonly service: string;
}

/** The messages by name. A message that is absent has not changed, or the browser does not look at it. */
export type PageMessages = {
  readonly overview?: PageOverview;
  readonly history?: PageHistory;
  readonly services?: ServicePage;
  readonly service?: ServiceDetail;
};

/** The state of the agent. */
export interface PageOverview {
  /** The time of the node. */
  readonly atUnixMs: number;
  readonly report: AgentReport;
  readonly services: ServiceCounts;
  readonly drains: PageDrains;
  /** The last changes by other programs that syncs and resyncs found, the newest first. */
  readonly drift: readonly DriftRecord[];
}

/** The number of Services, and of those with a finding of this severity as their worst. */
export interface ServiceCounts {
  readonly total: number;
  readonly errors: number;
  readonly warnings: number;
}

export interface PageDrains {
  readonly total: number;
  readonly endedIdle: number;
  readonly endedByTimeout: number;
  /** Some of those that drain. */
  readonly listed: readonly PageDrain[];
}

export interface PageDrain {
  readonly virtualServer: string;
  readonly realServer: string;
  readonly sinceUnixMs: number;
  /** Live connections; absent if they could not be read. */
  readonly connections?: number;
}

export interface DriftRecord {
  readonly atUnixMs: number;
  readonly drift: readonly DriftCount[];
}

/** The syncs of the last hour. */
export interface PageHistory {
  /** Whether these points replace all earlier ones; otherwise each replaces the one of the same step. */
  readonly isWhole: boolean;
  readonly points: readonly HistoryPoint[];
}

/** The syncs and the changes of endpoints within STEP_MS. A point without any is left out. */
export interface HistoryPoint {
  readonly step: number;
  readonly atUnixMs: number;
  readonly syncs: number;
  readonly syncMeanMs: number;
  readonly syncMaxMs: number;
  /** The number of changes of endpoints that were programmed. */
  readonly changes: number;
  readonly programmingMeanMs: number;
  readonly programmingMaxMs: number;
  /** The number of operations that the kernel refused. */
  readonly failed: number;
}

/** One page of the Services that match. */
export interface ServicePage {
  readonly view: Pick<PageView, "search" | "onlyProblems" | "offset">;
  /** The number of Services that match. */
  readonly total: number;
  readonly rows: readonly ServiceRow[];
}

export interface ServiceRow {
  readonly service: string;
  /** The first frontends, as "ClusterIP 10.96.0.1:80/TCP". */
  readonly frontends: readonly string[];
  readonly moreFrontends: number;
  readonly endpoints: number;
  readonly usedEndpoints: number;
  /** Live connections at the frontends; absent if they are too many to count or could not be read. */
  readonly connections?: number;
  readonly severity: Severity | "ok";
  /** The worst finding; "" if there is none. */
  readonly cause: string;
}

/** One Service. */
export interface ServiceDetail {
  readonly service: string;
  /** Absent if the Service is too large, or the kernel could not be read. */
  readonly explanation?: Explanation;
  readonly findings: readonly Finding[];
  /** Real servers and endpoints that the explanation leaves out. */
  readonly unlisted: number;
  /** Why there is no explanation; "" if there is one. */
  readonly note: string;
}
