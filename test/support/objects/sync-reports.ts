import { NO_FAILURES } from "../../../src/sync/retry/failure-log.ts";
import type { ReconcileState, SyncReport } from "../../../src/sync/sync-report.ts";

const NOTHING = { virtualServers: 0, realServers: 0, addresses: 0, entries: 0 };

/** A sync that took 2 ms and left nothing to do, except for the given fields. */
export function syncReport(
  report: Partial<Omit<SyncReport, "state">> & { readonly state?: Partial<ReconcileState> } = {},
): SyncReport {
  return {
    startedAtMs: 1_000_000,
    durationMs: 2,
    full: false,
    clean: true,
    operations: [],
    failures: NO_FAILURES,
    missingSchedulers: [],
    pending: 0,
    cut: false,
    drift: [],
    ...report,
    state: {
      desired: NOTHING,
      actual: NOTHING,
      setMembers: new Map(),
      foreignServers: 0,
      failedObjects: 0,
      drainingRealServers: 0,
      oldestDrainMs: 0,
      drainEnds: { idle: 0, timeout: 0 },
      oldestPendingMs: 0,
      ...report.state,
    },
  };
}
