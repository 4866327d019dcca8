import type { Rejection } from "../model/service.ts";
import type { Conflict } from "./desired-state.ts";

/** What every Service is told that wants a virtual server which another one holds. */
export function conflictRejections(conflicts: readonly Conflict[]): readonly Rejection[] {
  return conflicts.flatMap(({ key, holder, losers }) =>
    losers.map((loser) => ({
      object: `Service ${loser}`,
      field: "",
      value: key,
      reason: `is held by Service ${holder}, whose title is better or whose name comes first`,
    })),
  );
}
