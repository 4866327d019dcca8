import { expect } from "vitest";
import type { AskOptions } from "./client.ts";

type Counts = Readonly<Record<string, number>>;

/** What is expected of requests that all succeed: who answered how often, and as whom he saw the client. */
export function allAnswered(answers: Counts, client?: string): unknown {
  return expect.objectContaining({
    answers,
    errors: {},
    ...(client === undefined ? {} : { clients: { [client]: sum(answers) } }),
  });
}

/** What is expected of requests that all are refused at once. */
export function refused(count: number): unknown {
  return expect.objectContaining({ answers: {}, errors: { refused: count } });
}

/** For requests to which no answer comes: how long each waits for it. No patience multiplies it, for nothing is missed. */
export const IN_VAIN: AskOptions = { timeoutSeconds: 0.5 };

/** What is expected of requests whose packets are dropped without a word. */
export function dropped(count: number): unknown {
  return expect.objectContaining({ answers: {}, errors: { timeout: count } });
}

function sum(counts: Counts): number {
  return Object.values(counts).reduce((total, one) => total + one, 0);
}
