import type { Outcome } from "../kernel/kernel.ts";
import type { Errno } from "../model/kernel/errno.ts";
import { type Scheduler, sameRealServer, sameVirtualServer } from "../model/kernel/ipvs.ts";
import type { Operation, OperationKind } from "../model/kernel/operation.ts";
import type { ServerState } from "../model/kernel/server-state.ts";
import { missingScheduler } from "./retry/failed-operation.ts";
import type { DriftCount, DriftKind, DriftObject, SyncReport } from "./sync-report.ts";

/** Counts operations by kind and result, and notes what the results tell of the kernel. */
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

  /** What was done so far. `clean`: nothing was refused. */
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

/** Counts differences by what differs and how. */
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
 * How a virtual server that was seen differs from what was believed: `missing` was believed and is not there, `unwanted`
 * is there and was not believed. The real servers of one that is missing or unwanted as a whole are not counted.
 */
export function countServerDrift(
  believed: ServerState | undefined,
  seen: ServerState | undefined,
  counts: DriftCounts,
): void {
  if (believed === undefined || seen === undefined) {
    countPresence("virtual-server", believed !== undefined, seen !== undefined, counts);
    return;
  }
  if (!sameVirtualServer(believed.server, seen.server)) counts.add("virtual-server", "different");
  if (believed.reals.equals(seen.reals)) return;
  const saw = seen.reals.toMap();
  for (const real of believed.reals) {
    const other = saw.get(real.key);
    if (other === undefined) counts.add("real-server", "missing");
    else if (!sameRealServer(real, other)) counts.add("real-server", "different");
  }
  const known = believed.reals.toMap();
  for (const key of saw.keys()) if (!known.has(key)) counts.add("real-server", "unwanted");
}

/** The same for objects that can only be there or not. */
export function countPresence(object: DriftObject, believed: boolean, seen: boolean, counts: DriftCounts): void {
  if (believed && !seen) counts.add(object, "missing");
  if (!believed && seen) counts.add(object, "unwanted");
}
