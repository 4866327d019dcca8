import { expect, test } from "vitest";
import type { ApiStatus } from "../../../../src/watch/api-status.ts";
import {
  type Ending,
  endingCause,
  endingReason,
  endingText,
  nextStep,
  type Plan,
} from "../../../../src/watch/recovery.ts";

const PLANS: Readonly<Record<string, Plan>> = {
  watch: { kind: "watch" },
  probe: { kind: "probe" },
  "stream latest": { kind: "watch-list", from: "latest" },
  "stream last": { kind: "watch-list", from: "last" },
  "stream cache": { kind: "watch-list", from: "cache" },
  "list latest": { kind: "list", from: "latest" },
  "list last": { kind: "list", from: "last" },
  "list cache": { kind: "list", from: "cache" },
};

function status(code: number, more: Partial<ApiStatus> = {}): ApiStatus {
  return { code, reason: "", message: "", retryAfterMs: 0, expired: code === 410, tooNew: false, ...more };
}

const ENDINGS: Readonly<Record<string, Ending>> = {
  "ends healthy": { kind: "ended", livedMs: 1000, events: 0 },
  "ends at once with an event": { kind: "ended", livedMs: 3, events: 1 },
  "ends at once": { kind: "ended", livedMs: 999, events: 0 },
  "is silent": { kind: "silent" },
  "is listed": { kind: "listed" },
  "is current": { kind: "current" },
  "is not answered": { kind: "no-answer" },
  stalls: { kind: "stalled" },
  "is overdue": { kind: "overdue" },
  "is lost": { kind: "lost", reason: "ECONNRESET" },
  "has no credentials": { kind: "no-credentials", reason: 'exec plugin "x" ended with exit code 1: SECRET' },
  "is moved": { kind: "moved" },
  "is malformed": { kind: "malformed", reason: "garbage" },
  "gets 410": { kind: "refused", status: status(410), inStream: false },
  "gets ERROR 410": { kind: "refused", status: status(410), inStream: true },
  "gets 504 too new": { kind: "refused", status: status(504, { tooNew: true, retryAfterMs: 1000 }), inStream: false },
  "gets ERROR 504 too new": { kind: "refused", status: status(504, { tooNew: true }), inStream: true },
  "gets 504 of a proxy": { kind: "refused", status: status(504), inStream: false },
  "gets 400": { kind: "refused", status: status(400), inStream: false },
  "gets 401": { kind: "refused", status: status(401), inStream: false },
  "gets 403": { kind: "refused", status: status(403), inStream: false },
  "gets 422": { kind: "refused", status: status(422), inStream: false },
  "gets 429": { kind: "refused", status: status(429, { retryAfterMs: 7000 }), inStream: false },
  "gets 500": { kind: "refused", status: status(500), inStream: false },
  "gets ERROR 500": { kind: "refused", status: status(500), inStream: true },
};

test.each([
  // A watch resumes from its version through everything but a lost history.
  ["watch", "ends healthy", "watch", "jitter", 0],
  ["watch", "ends at once with an event", "watch", "jitter", 0],
  ["watch", "ends at once", "watch", "backoff", 0],
  ["watch", "is silent", "probe", "none", 0],
  ["watch", "is not answered", "watch", "backoff", 0],
  ["watch", "is overdue", "watch", "backoff", 0],
  ["watch", "is lost", "watch", "backoff", 0],
  ["watch", "is moved", "watch", "jitter", 0],
  ["watch", "has no credentials", "watch", "backoff", 0],
  ["probe", "has no credentials", "watch", "backoff", 0],
  ["stream latest", "has no credentials", "stream latest", "backoff", 0],
  ["watch", "is malformed", "watch", "jitter", 0],
  ["watch", "gets 410", "stream last", "spread", 0],
  ["watch", "gets ERROR 410", "stream last", "spread", 0],
  ["watch", "gets 504 too new", "stream latest", "backoff", 1000],
  ["watch", "gets 504 of a proxy", "watch", "backoff", 0],
  ["watch", "gets 401", "watch", "backoff", 0],
  ["watch", "gets 403", "watch", "backoff", 0],
  ["watch", "gets 422", "watch", "backoff", 0],
  ["watch", "gets 429", "watch", "backoff", 7000],
  ["watch", "gets 500", "watch", "backoff", 0],
  ["watch", "gets ERROR 500", "watch", "backoff", 0],
  // A probe tells whether our version is of this server's history.
  ["probe", "is current", "watch", "none", 0],
  ["probe", "gets 504 too new", "stream latest", "backoff", 1000],
  ["probe", "gets 410", "stream last", "spread", 0],
  ["probe", "is not answered", "watch", "backoff", 0],
  ["probe", "is lost", "watch", "backoff", 0],
  // A streamed list goes over to a plain one where it is not to be had,
  ["stream latest", "ends healthy", "list cache", "none", 0],
  ["stream last", "ends at once", "list last", "backoff", 0],
  ["stream latest", "stalls", "list cache", "none", 0],
  ["stream last", "stalls", "list last", "none", 0],
  ["stream latest", "gets 422", "list cache", "none", 0],
  ["stream last", "gets 400", "list last", "none", 0],
  ["stream latest", "gets ERROR 500", "list cache", "none", 0],
  // and is tried again where only the moment is bad.
  ["stream latest", "gets 500", "stream latest", "backoff", 0],
  ["stream latest", "is lost", "stream latest", "backoff", 0],
  ["stream latest", "is malformed", "stream latest", "backoff", 0],
  ["stream latest", "is not answered", "stream cache", "none", 0],
  ["stream last", "is not answered", "stream last", "backoff", 0],
  ["stream cache", "is not answered", "stream cache", "backoff", 0],
  ["stream last", "gets ERROR 504 too new", "stream latest", "backoff", 0],
  ["stream last", "gets 410", "stream latest", "backoff", 0],
  ["stream latest", "gets 429", "stream latest", "backoff", 7000],
  ["list cache", "is listed", "watch", "none", 0],
  ["list cache", "is lost", "list cache", "backoff", 0],
  ["list last", "stalls", "list last", "backoff", 0],
  ["list last", "gets 410", "list latest", "backoff", 0],
  ["list last", "gets 504 too new", "stream latest", "backoff", 1000],
  ["list latest", "is not answered", "list cache", "none", 0],
  ["list cache", "gets 403", "list cache", "backoff", 0],
  ["list cache", "is malformed", "list cache", "backoff", 0],
] as const)("%s that %s: then %s, wait %s, at least %i ms", (plan, ending, next, wait, atLeastMs) => {
  expect(nextStep(at(PLANS, plan), at(ENDINGS, ending), false)).toEqual({ plan: at(PLANS, next), wait, atLeastMs });
});

test("a watch that is malformed twice at one version is listed anew", () => {
  expect(nextStep({ kind: "watch" }, at(ENDINGS, "is malformed"), true)).toEqual({
    plan: { kind: "watch-list", from: "last" },
    wait: "backoff",
    atLeastMs: 0,
  });
});

test.each([
  ["gets 410", "410"],
  ["is lost", "lost"],
])("what %s is counted as %s", (ending, reason) => {
  expect(endingReason(at(ENDINGS, ending))).toBe(reason);
});

test.each(Object.entries(ENDINGS))(
  "a watch that %s shows one word of ours to whoever may connect, or nothing",
  (_, ending) => {
    const text = "SECRET https://10.0.0.1";
    const loud = { ...ending, ...("reason" in ending && { reason: text }) } as Ending; // the same with another text
    const told = loud.kind === "refused" ? { ...loud, status: { ...loud.status, message: text, reason: text } } : loud;
    expect(endingCause(told)).toMatch(endingText(told) === "" ? /^$/ : /^(\d{3}|[a-z]+(-[a-z]+)?)$/);
  },
);

function at<Value>(record: Readonly<Record<string, Value>>, name: string): Value {
  const value = record[name];
  if (value === undefined) throw new Error(`no "${name}"`);
  return value;
}
