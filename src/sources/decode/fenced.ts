import type { ProblemObject } from "../../model/cluster/problem.ts";
import type { Decoded } from "../../services/cluster-event.ts";

/**
 * Decodes one object. An exception becomes a problem of the object.
 *
 * An exception is a bug in a decoder, and the problem contains its location. Without this, every author of an object
 * could stop the agents of all nodes, again after each restart.
 */
export function fenced<Name, Value>(object: ProblemObject, decode: () => Decoded<Name, Value>): Decoded<Name, Value> {
  try {
    return decode();
  } catch (error) {
    const reason = `cannot be decoded: ${faultText(error)}`;
    return { kind: "invalid", problems: [{ object, field: "", value: "", reason }] };
  }
}

/** Returns the message, and the innermost function if it is known. */
function faultText(error: unknown): string {
  if (!(error instanceof Error)) return "an exception of unknown type";
  const [, place] = /\n\s+(at .*)/.exec(error.stack ?? "") ?? [];
  return place === undefined ? error.message : `${error.message} (${place})`;
}
