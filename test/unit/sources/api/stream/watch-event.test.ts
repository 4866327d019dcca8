import { expect, test } from "vitest";
import { isOlderVersion, parseWatchEvent } from "../../../../../src/sources/api/stream/watch-event.ts";
import { statusOf, statusOfAnswer } from "../../../../../src/sources/api/transport/api-status.ts";
import { expired, tooLargeVersion } from "../../../../support/api/answers.ts";

test.each([
  ["garbage", "not JSON"],
  ["", "not JSON"],
  ["null", "type undefined"],
  ["[]", "type undefined"],
  ['{"type":"SYNC","object":{}}', 'type "SYNC"'],
  ['{"type":"ADDED"}', "without name"],
  ['{"type":"ADDED","object":{"metadata":{"name":"a"}}}', "without name or resourceVersion"],
  ['{"type":"ADDED","object":{"metadata":{"resourceVersion":"1"}}}', "without name or resourceVersion"],
  ['{"type":"ADDED","object":{"metadata":{"name":"a","resourceVersion":7}}}', "without name or resourceVersion"],
  ['{"type":"BOOKMARK","object":{"metadata":{}}}', "bookmark without"],
])("the line %j is malformed and never skipped", (line, reason) => {
  expect(parseWatchEvent(line)).toEqual({ kind: "malformed", reason: expect.stringContaining(reason) });
});

test.each([
  ["ADDED", "upsert"],
  ["MODIFIED", "upsert"],
  ["DELETED", "delete"],
])("%s is a %s of the unchanged object", (type, kind) => {
  const object = { metadata: { namespace: "demo", name: "web", resourceVersion: "12" }, spec: 1 };
  expect(parseWatchEvent(JSON.stringify({ type, object }))).toEqual({
    kind,
    object: { namespace: "demo", name: "web", resourceVersion: "12", object },
  });
});

test.each([
  [{ "k8s.io/initial-events-end": "true" }, true],
  [{ "k8s.io/initial-events-end": "false" }, false],
  [undefined, false],
])("a bookmark with annotations %j ends the list: %s", (annotations, endOfList) => {
  const object = { metadata: { resourceVersion: "5", annotations }, endpoints: null, ports: null };
  expect(parseWatchEvent(JSON.stringify({ type: "BOOKMARK", object }))).toEqual({
    kind: "bookmark",
    resourceVersion: "5",
    endOfList,
  });
});

test.each([
  ["9", "10", true],
  ["10", "9", false],
  ["10", "10", false],
  ["18446744073709551615", "18446744073709551616", true],
])("version %s is older than %s: %s", (a, b, older) => {
  expect(isOlderVersion(a, b)).toBe(older);
});

test("an ERROR event has code, reason and the time of the next attempt", () => {
  expect(statusOf(expired("262", 274))).toMatchObject({ code: 410, reason: "Expired", tooNew: false, retryAfterMs: 0 });
  expect(statusOf(tooLargeVersion("9", 7))).toMatchObject({ code: 504, tooNew: true, retryAfterMs: 1000 });
});

test.each([
  ["plain text", "Too many requests", "Too many requests"],
  ["HTML", "<html>bad gateway</html>", "<html>bad gateway</html>"],
  ["JSON that is no object", "[1]", "[1]"],
  ["nothing", "", ""],
])("an answer with %s as body keeps its code and Retry-After", (_, body, message) => {
  expect(statusOfAnswer(429, 7000, body)).toMatchObject({ code: 429, retryAfterMs: 7000, message, tooNew: false });
});
