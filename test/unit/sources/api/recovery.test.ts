import { expect, test } from "vitest";
import { endingCause } from "../../../../src/sources/api/outage/outage-cause.ts";
import {
  type Ending,
  endingReason,
  endingText,
  type History,
  nextStep,
  type WatchPlan,
} from "../../../../src/sources/api/recovery.ts";
import type { ApiStatus } from "../../../../src/sources/api/transport/api-status.ts";

const PLANS: Readonly<Record<string, WatchPlan>> = {
  watch: { kind: "watch" },
  probe: { kind: "probe" },
  "stream latest": { kind: "watch-list", from: "latest" },
  "stream last": { kind: "watch-list", from: "last" },
  list: { kind: "list" },
};

function status(code: number, more: Partial<ApiStatus> = {}): ApiStatus {
  return { code, reason: "", message: "", retryAfterMs: 0, expired: code === 410, tooNew: false, ...more };
}

function refused(code: number, more: Partial<ApiStatus> = {}, inStream = false): Ending {
  return { kind: "refused", status: status(code, more), inStream };
}

const HISTORY: History = { healthy: false, malformedBefore: false, watched: true, failedStreams: 1 };

const ENDINGS: Readonly<Record<string, readonly [Ending, Partial<History>]>> = {
  "ends healthy": [{ kind: "ended" }, { healthy: true, failedStreams: 0 }],
  "ends at once": [{ kind: "ended" }, {}],
  "ends at once three times": [{ kind: "ended" }, { failedStreams: 3 }],
  "ends at once after a good probe": [{ kind: "ended" }, { failedStreams: 4 }],
  "is silent": [{ kind: "silent" }, {}],
  "is listed": [{ kind: "listed" }, {}],
  "is current": [{ kind: "current" }, {}],
  "is behind": [{ kind: "behind", version: "7" }, {}],
  "is not answered": [{ kind: "no-answer" }, {}],
  "is not answered three times": [{ kind: "no-answer" }, { failedStreams: 3 }],
  stalls: [{ kind: "stalled" }, {}],
  "is overdue": [{ kind: "overdue" }, {}],
  "is lost": [{ kind: "lost", reason: "ECONNRESET", at: "" }, {}],
  "is lost three times": [{ kind: "lost", reason: "ECONNRESET", at: "" }, { failedStreams: 3 }],
  "has no credentials": [
    { kind: "no-credentials", reason: 'exec plugin "x" ended with exit code 1: SECRET' },
    { failedStreams: 3 },
  ],
  "is moved": [{ kind: "moved" }, {}],
  "is malformed": [{ kind: "malformed", reason: "garbage" }, {}],
  "is malformed twice": [{ kind: "malformed", reason: "garbage" }, { malformedBefore: true }],
  "gets 410": [refused(410), {}],
  "gets ERROR 410": [refused(410, {}, true), {}],
  "gets 410 after every list": [refused(410), { watched: false }],
  "gets ERROR Expired without a code": [refused(0, { reason: "Expired", expired: true }, true), {}],
  "gets 504 too new": [refused(504, { tooNew: true, retryAfterMs: 1000 }), {}],
  "gets ERROR 504 too new": [refused(504, { tooNew: true }, true), {}],
  "gets 504 of a proxy": [refused(504), {}],
  "gets 400": [refused(400), {}],
  "gets 401": [refused(401), {}],
  "gets 403": [refused(403), {}],
  "gets 422": [refused(422), {}],
  "gets 429": [refused(429, { retryAfterMs: 7000 }), {}],
  "gets 500": [refused(500), {}],
  "gets 500 three times": [refused(500), { failedStreams: 3 }],
  "gets 500 after a good probe": [refused(500), { failedStreams: 4 }],
  "gets ERROR 500": [refused(500, {}, true), {}],
};

test.each([
  // A watch resumes from its version after every failure except a lost history.
  ["watch", "ends healthy", "watch", "jitter", 0],
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
  ["watch", "is malformed twice", "stream last", "backoff", 0],
  ["watch", "gets 410", "stream last", "spread", 0],
  ["watch", "gets ERROR 410", "stream last", "spread", 0],
  ["watch", "gets ERROR Expired without a code", "stream last", "spread", 0],
  ["watch", "gets 410 after every list", "stream last", "backoff", 0],
  ["watch", "gets 504 of a proxy", "watch", "backoff", 0],
  ["watch", "gets 401", "watch", "backoff", 0],
  ["watch", "gets 403", "watch", "backoff", 0],
  ["watch", "gets 422", "watch", "backoff", 0],
  ["watch", "gets 429", "watch", "backoff", 7000],
  ["watch", "gets 500", "watch", "backoff", 0],
  ["watch", "gets ERROR 500", "watch", "backoff", 0],
  // If it fails repeatedly, a probe shows whether lists would be answered,
  ["watch", "ends at once three times", "probe", "backoff", 0],
  ["watch", "is not answered three times", "probe", "backoff", 0],
  ["watch", "is lost three times", "probe", "backoff", 0],
  ["watch", "gets 500 three times", "probe", "backoff", 0],
  ["probe", "is current", "watch", "none", 0],
  ["probe", "gets 500", "watch", "backoff", 0],
  // and then the state is listed.
  ["watch", "ends at once after a good probe", "stream last", "backoff", 0],
  ["watch", "gets 500 after a good probe", "stream last", "backoff", 0],
  // A server that is behind is probed until it or another one has caught up; no list accepts less.
  ["watch", "is behind", "probe", "backoff", 0],
  ["watch", "gets 504 too new", "probe", "backoff", 1000],
  ["probe", "gets 504 too new", "probe", "backoff", 1000],
  ["stream last", "is behind", "stream last", "backoff", 0],
  ["stream last", "gets ERROR 504 too new", "stream last", "backoff", 0],
  ["list", "is behind", "list", "backoff", 0],
  ["list", "gets 504 too new", "list", "backoff", 1000],
  ["probe", "gets 410", "stream last", "spread", 0],
  ["probe", "is not answered", "watch", "backoff", 0],
  ["probe", "is lost", "watch", "backoff", 0],
  // A streamed list is replaced by a plain one if it is not available,
  ["stream latest", "ends healthy", "list", "none", 0],
  ["stream last", "ends at once", "list", "backoff", 0],
  ["stream latest", "stalls", "list", "none", 0],
  ["stream last", "stalls", "list", "none", 0],
  ["stream latest", "gets 422", "list", "none", 0],
  ["stream last", "gets 400", "list", "none", 0],
  ["stream latest", "gets ERROR 500", "list", "none", 0],
  ["stream last", "gets 500 three times", "list", "backoff", 0],
  ["stream last", "is not answered three times", "list", "backoff", 0],
  ["stream latest", "is lost three times", "list", "backoff", 0],
  // and is retried after a temporary failure.
  ["stream latest", "gets 500", "stream latest", "backoff", 0],
  ["stream latest", "is lost", "stream latest", "backoff", 0],
  ["stream latest", "is malformed", "stream latest", "backoff", 0],
  ["stream latest", "is not answered", "stream last", "none", 0],
  ["stream last", "is not answered", "stream last", "backoff", 0],
  ["stream last", "gets 410", "stream last", "backoff", 0],
  ["stream latest", "gets 429", "stream latest", "backoff", 7000],
  ["list", "is listed", "watch", "none", 0],
  ["list", "is lost", "list", "backoff", 0],
  ["list", "is lost three times", "list", "backoff", 0],
  ["list", "stalls", "list", "backoff", 0],
  ["list", "gets 410", "list", "backoff", 0],
  ["list", "is not answered", "list", "backoff", 0],
  ["list", "gets 403", "list", "backoff", 0],
  ["list", "is malformed", "list", "backoff", 0],
] as const)("a %s that %s: then %s, wait %s, at least %i ms", (plan, name, next, wait, atLeastMs) => {
  const [ending, history] = at(ENDINGS, name);
  expect(nextStep(at(PLANS, plan), ending, { ...HISTORY, ...history })).toEqual({
    plan: at(PLANS, next),
    wait,
    atLeastMs,
  });
});

test.each([
  ["gets 410", "410", "410"],
  ["gets ERROR Expired without a code", "error", "Expired"],
  ["is lost", "lost", "ECONNRESET"],
  ["is behind", "behind", "the server is behind: its state has version 7"],
])("a watch that %s is counted as %s, and logged as %j", (name, reason, text) => {
  const [ending] = at(ENDINGS, name);
  expect([endingReason(ending), endingText(ending)]).toEqual([reason, text]);
});

test.each([0, -1, 7, 600, 1e9, 500.5])("code %d of an ERROR event makes no label of its own", (code) => {
  expect(endingReason(refused(code, {}, true))).toBe("error");
});

test.each(Object.entries(ENDINGS))(
  "a watch that %s shows nothing of the text of others to clients of the health server",
  (_, [ending]) => {
    const text = "SECRET https://10.0.0.1";
    const loud = { ...ending, ...("reason" in ending && { reason: text }) } as Ending; // the same with another text
    const told = loud.kind === "refused" ? { ...loud, status: { ...loud.status, message: text, reason: text } } : loud;
    expect(endingCause(told)).toMatch(endingText(told) === "" ? /^$/ : /^(\d{3}|[a-z]+(-[a-z]+)?): /);
    expect(endingCause(told)).not.toMatch(/SECRET|10\.0\.0\.1/);
  },
);

function at<Value>(record: Readonly<Record<string, Value>>, name: string): Value {
  const value = record[name];
  if (value === undefined) throw new Error(`no "${name}"`);
  return value;
}
