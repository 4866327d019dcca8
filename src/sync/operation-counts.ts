import type { Outcome } from "../kernel/kernel.ts";
import type { Errno } from "../model/kernel/errno.ts";
import { type Scheduler, sameRealServer, sameVirtualServer } from "../model/kernel/ipvs.ts";
import type { Operation, OperationKind } from "../model/kernel/operation.ts";
import type { ServerState } from "../model/kernel/server-state.ts";
import { missingScheduler } from "./retry/failed-operation.ts";
import type { DriftCount, DriftKind, DriftObject, SyncReport } from "./sync-report.ts";

/** Counts operations by kind and result, and collects the schedulers that the kernel does not have. */
export class OperationCounts {
  readonly #counts = new Map<OperationKind, Map<Errno | "", number>>();
  readonly #missingSchedulers = new Set<Scheduler>();

  add(operations: readonly Operation[], outcomes: readonly Outcome[]): void {
    for (let index = 0; index < operations.length; index++) {
      const operation = operations[index];
      const outcome = outcomes[index];
      if (operation === undefined) continue;
      this.#count(operation.kind, outcome === undefined || outcome.ok ? "" : outcome.errno);
      const missing = outcome?.ok === false ? missingScheduler({ operation, errno: outcome.errno }) : undefined;
      if (missing !== undefined) this.#missingSchedulers.add(missing);
    }
  }

  /** Returns the counts so far. `clean`: no operation failed. */
  counts(): Pick<SyncReport, "clean" | "operations" | "missingSchedulers"> {
    const operations = [...this.#counts].flatMap(([kind, counts]) =>
      Array.from(counts, ([errno, count]) => ({ kind, errno, count })),
    );
    const clean = operations.every(({ errno }) => errno === "");
    return { clean, operations, missingSchedulers: [...this.#missingSchedulers] };
  }

  #count(kind: OperationKind, errno: Errno | ""): void {
    let counts = this.#counts.get(kind);
    if (counts === undefined) {
      counts = new Map();
      this.#counts.set(kind, counts);
    }
    counts.set(errno, (counts.get(errno) ?? 0) + 1);
  }
}

/** Counts differences by object and kind. */
export class DriftCounts {
  readonly #counts = new Map<string, { object: DriftObject; kind: DriftKind; count: number }>();

  add(object: DriftObject, kind: DriftKind): void {
    const name = `${object} ${kind}`;
    const entry = this.#counts.get(name);
    if (entry === undefined) this.#counts.set(name, { object, kind, count: 1 });
    else entry.count++;
  }

  list(): DriftCount[] {
    return [...this.#counts.values()].map((count) => ({ ...count }));
  }
}

/**
 * Counts the differences between the expected and the actual state of a virtual server: `missing` was expected and does not
 * exist, `unwanted` exists and was not expected. If the whole virtual server is missing or unwanted, its real servers are not
 * counted.
 */
export function countServerDrift(
  expected: ServerState | undefined,
  actual: ServerState | undefined,
  counts: DriftCounts,
): void {
  if (expected === undefined || actual === undefined) {
    countPresence("virtual-server", expected !== undefined, actual !== undefined, counts);
    return;
  }
  if (!sameVirtualServer(expected.server, actual.server)) counts.add("virtual-server", "different");
  if (expected.reals.equals(actual.reals)) return;
  const found = actual.reals.toMap();
  for (const real of expected.reals) {
    const other = found.get(real.key);
    if (other === undefined) counts.add("real-server", "missing");
    else if (!sameRealServer(real, other)) counts.add("real-server", "different");
  }
  const known = expected.reals.toMap();
  for (const key of found.keys()) if (!known.has(key)) counts.add("real-server", "unwanted");
}

/** Counts the difference of an object that has no state but its existence. */
export function countPresence(object: DriftObject, expected: boolean, exists: boolean, counts: DriftCounts): void {
  if (expected && !exists) counts.add(object, "missing");
  if (!expected && exists) counts.add(object, "unwanted");
}
