import type { Errno, Outcome } from "../kernel/kernel.ts";
import type { Scheduler } from "../model/kernel/ipvs.ts";
import type { Operation, OperationKind } from "../model/kernel/operation.ts";
import { missingScheduler } from "./retry/failed-operation.ts";
import type { SyncReport } from "./sync-report.ts";

/** Counts operations by kind and result, and notes what the results tell of the kernel. */
export class Tally {
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
