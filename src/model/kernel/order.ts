import { type Operation, rankOf } from "./operation.ts";

/** The operations in an order safe to apply; those of one kind stay in the order given. */
export function inSafeOrder(operations: readonly Operation[]): Operation[] {
  const byRank: Operation[][] = [];
  operations.forEach((operation) => {
    const rank = rankOf(operation.kind, "entry" in operation ? operation.entry : undefined);
    byRank[rank] ??= [];
    byRank[rank].push(operation);
  });
  // Not all ranks are there. Unlike `flat`, `concat` allocates once.
  const none: Operation[] = [];
  return none.concat(...Object.values(byRank));
}
