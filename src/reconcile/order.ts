import { type Operation, rankOf } from "../model/operation.ts";

/** The operations in an order safe to apply; those of one kind stay in the order given. */
export function inSafeOrder(operations: readonly Operation[]): Operation[] {
  const byRank: Operation[][] = [];
  for (const operation of operations) {
    const rank = rankOf(operation);
    byRank[rank] ??= [];
    byRank[rank].push(operation);
  }
  return byRank.flat();
}
