import type { Rejection } from "../model/cluster/service.ts";
import type { Conflict } from "./desired-state.ts";

/** The problem of a Service that wants a virtual server which another one holds. */
export function conflictRejection({ key, holder, loser }: Conflict): Rejection {
  const reason = `is held by Service ${holder}, whose title is better or whose name comes first`;
  return { object: `Service ${loser}`, field: "", value: key, reason };
}
