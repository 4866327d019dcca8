import type { Errno, Outcome } from "../kernel/kernel.ts";
import type { Operation, OperationKind } from "../model/operation.ts";
import type { SyncReport } from "./sync-report.ts";

/** Counts operations by kind and result. */
export class Tally {
  readonly #counts = new Map<string, { kind: OperationKind; errno: Errno | ""; count: number }>();

  add(operations: readonly Operation[], outcomes: readonly Outcome[]): void {
    for (const [index, { kind }] of operations.entries()) {
      const outcome = outcomes[index];
      const errno = outcome === undefined || outcome.ok ? "" : outcome.errno;
      const name = `${kind} ${errno}`;
      const entry = this.#counts.get(name);
      if (entry === undefined) this.#counts.set(name, { kind, errno, count: 1 });
      else entry.count++;
    }
  }

  /** Nothing was refused. */
  get clean(): boolean {
    return [...this.#counts.values()].every(({ errno }) => errno === "");
  }

  list(): SyncReport["operations"] {
    return [...this.#counts.values()].map((count) => ({ ...count }));
  }
}
