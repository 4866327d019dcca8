import type { Errno, Outcome } from "../kernel/kernel.ts";
import type { Scheduler } from "../model/ipvs.ts";
import type { Operation, OperationKind } from "../model/operation.ts";
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
      if (outcome?.ok === false && outcome.errno === "ENOENT") this.#noteMissing(operation);
    }
  }

  /** Those that this kernel neither has nor finds a module for. */
  get missingSchedulers(): readonly Scheduler[] {
    return [...this.#missingSchedulers];
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

  /** To a virtual server the kernel says ENOENT only for its scheduler: one that is not there itself is ESRCH. */
  #noteMissing(operation: Operation): void {
    const { kind } = operation;
    if (kind === "add-virtual-server" || kind === "update-virtual-server")
      this.#missingSchedulers.add(operation.server.scheduler);
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
