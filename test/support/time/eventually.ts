import { vi } from "vitest";
import { patient } from "./patience.ts";

export interface EventuallyOptions {
  /** How long it may take on a quiet machine; by default 10 seconds. */
  readonly withinMs?: number;
  /** By default 50. */
  readonly everyMs?: number;
}

/** Tries a claim until it holds, and resolves with its value; rejects with its last failure when time is up. */
export function eventually<Value>(
  claim: () => Value | Promise<Value>,
  { withinMs = 10_000, everyMs = 50 }: EventuallyOptions = {},
): Promise<Value> {
  return vi.waitFor(claim, { timeout: patient(withinMs), interval: everyMs });
}
