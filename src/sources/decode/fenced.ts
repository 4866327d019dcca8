import type { ProblemObject } from "../../model/cluster/problem.ts";
import type { Decoded } from "../../services/cluster-event.ts";

/**
 * What the decoder makes of one object, where an exception becomes a problem of that object.
 *
 * The exception is a fault of a decoder, and the problem says where it is. But whoever may write one object could end
 * the agents of all nodes with it, again after each restart; so the fault costs this object alone.
 */
export function fenced<Name, Value>(object: ProblemObject, decode: () => Decoded<Name, Value>): Decoded<Name, Value> {
  try {
    return decode();
  } catch (error) {
    const reason = `cannot be decoded: ${faultText(error)}`;
    return { kind: "broken", problems: [{ object, field: "", value: "", reason }] };
  }
}

/** The message, and the innermost function that is known. */
function faultText(error: unknown): string {
  if (!(error instanceof Error)) return "an exception that is no Error";
  const [, place] = /\n\s+(at .*)/.exec(error.stack ?? "") ?? [];
  return place === undefined ? error.message : `${error.message} (${place})`;
}
