import type { Errno, Outcome } from "../kernel/kernel.ts";
import type { Operation, OperationKind } from "../model/operation.ts";
import type { SyncReport } from "./sync-report.ts";

/** Counts operations by kind and result. */
export class Tally {
  readonly #counts = new Map<OperationKind, Map<Errno | "", number>>();

  add(operations: readonly Operation[], outcomes: readonly Outcome[]): void {
    for (let index = 0; index < operations.length; index++) {
      const kind = operations[index]?.kind;
      const outcome = outcomes[index];
      if (kind !== undefined) this.#count(kind, outcome === undefined || outcome.ok ? "" : outcome.errno);
    }
  }

  /** Nothing was refused. */
  get clean(): boolean {
    return this.list().every(({ errno }) => errno === "");
  }

  list(): SyncReport["operations"] {
    return [...this.#counts].flatMap(([kind, counts]) =>
      Array.from(counts, ([errno, count]) => ({ kind, errno, count })),
    );
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
