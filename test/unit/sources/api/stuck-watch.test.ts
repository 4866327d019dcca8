import { describe, expect, onTestFinished, test } from "vitest";
import type { ApiRequest } from "../../../support/api/api-model.ts";
import { LogLines } from "../../../support/api/worlds/log-lines.ts";
import type { Fault } from "../../../support/api/worlds/model-transport.ts";
import { WatchWorld } from "../../../support/api/worlds/watch-world.ts";

const HOUR_MS = 3_600_000;

const errorEvent = (status: object): Fault => ({
  kind: "answer",
  status: 200,
  body: `${JSON.stringify({ type: "ERROR", object: { kind: "Status", ...status } })}\n`,
});

const REJECTIONS = {
  "an ERROR event of code 500": errorEvent({ code: 500, reason: "InternalError", message: "it broke" }),
  "an ERROR event with reason Expired and no code": errorEvent({ reason: "Expired", message: "too old" }),
  "an ERROR event with reason Gone and no code": errorEvent({ reason: "Gone" }),
  "an empty ERROR event": errorEvent({}),
  "HTTP 302": { kind: "answer", status: 302, body: "" },
  "HTTP 400": { kind: "answer", status: 400, body: "" },
  "HTTP 403": { kind: "answer", status: 403, body: "" },
  "HTTP 404": { kind: "answer", status: 404, body: "" },
  "HTTP 410": { kind: "answer", status: 410, body: "" },
  "HTTP 500": { kind: "answer", status: 500, body: "" },
  "HTTP 503": { kind: "answer", status: 503, body: "" },
  "a page of HTML": { kind: "answer", status: 200, body: "<html>sign in</html>", contentType: "text/html" },
  "an empty stream": { kind: "answer", status: 200, body: "" },
  "a reset": { kind: "cut", afterBytes: 0, how: "reset" },
  "no connection": { kind: "refuse" },
  "no answer": { kind: "no-answer" },
} satisfies Readonly<Record<string, Fault>>;

const isWatch = ({ query }: ApiRequest) => query.get("watch") === "true";
const isStream = (request: ApiRequest) => isWatch(request) && request.query.get("sendInitialEvents") === "true";

async function refusing(refused: (request: ApiRequest) => boolean, fault: Fault, logger = new LogLines()) {
  const one = new WatchWorld({ logger });
  onTestFinished(() => one.stop());
  one.transport.fault = (request) => {
    one.requests.push(request);
    one.requestedAtMs.push(one.clock.now());
    return refused(request) ? fault : undefined;
  };
  return one;
}

/** The text of a watch that is never ended. */
const endStreams = (one: WatchWorld) => one.model.endWatches("reset");

describe.each<[string, Fault]>(Object.entries(REJECTIONS))("when %s answers", (_, fault) => {
  test.each(["streaming", "disabled"] as const)(
    "every watch from a version, changes arrive by lists within minutes, with watch-list %s",
    async (watchList) => {
      const one = await refusing((request) => isWatch(request) && !isStream(request), fault);
      one.model.behaviour.watchList = watchList;
      await one.startWith("a");
      endStreams(one);
      for (let revision = 2; revision < 8; revision++) {
        one.put("a", revision);
        await one.clock.advance(600_000);
        expect(one.told.services.get("demo/a")).toBe(revision);
        endStreams(one);
      }
      expect(one.stats.lists, "in an hour").toBeLessThanOrEqual(90);
      expect(one.clock.now() - one.stats.lastProgressAtMs).toBeLessThan(900_000);
    },
  );

  test("every watch of any kind, changes arrive by lists within minutes", async () => {
    const one = await refusing(isWatch, fault);
    one.put("a", 1);
    void one.start();
    for (let revision = 2; revision < 8; revision++) {
      await one.clock.advance(600_000);
      one.put("a", revision);
      await one.clock.advance(600_000);
      if (fault.kind === "refuse") continue;
      expect(one.told.services.get("demo/a")).toBe(revision);
    }
    expect(one.stats.lists, "in two hours").toBeLessThanOrEqual(180);
  });
});

test("a watch that is rejected three times is listed after a probe and one more rejection", async () => {
  const one = await refusing((request) => isWatch(request) && !isStream(request), REJECTIONS["HTTP 500"]);
  await one.startWith("a");
  await one.clock.advance(1000);
  endStreams(one);
  await one.clock.advance(60_000);
  const watch = "watch from '101'";
  expect(one.asked.slice(1, 7)).toEqual([watch, watch, watch, "list from '101'", watch, "stream from '101'"]);
});

test("watches that are answered with 410 after every list cause lists at growing intervals, and one warning a minute", async () => {
  const log = new LogLines();
  const one = await refusing(
    (request) => isWatch(request) && !isStream(request),
    { kind: "answer", status: 410, body: "" },
    log,
  );
  one.model.behaviour.watchList = "disabled";
  await one.startWith("a");
  await one.clock.advance(HOUR_MS);
  const listedAtMs = one.requestedAtMs.filter((_, index) => one.asked[index]?.startsWith("list"));
  const gaps = listedAtMs.slice(1, 7).map((at, index) => Math.round(at - (listedAtMs[index] ?? 0)));
  expect(gaps).toEqual([1200, 2400, 4800, 9600, 19_200, 38_400]);
  expect(one.stats.lists).toBeLessThan(90);
  expect(log.lines.length).toBeGreaterThan(0);
  expect(log.lines.length).toBeLessThanOrEqual(60);
  expect(log.lines[0]).toMatch(/^WARN cannot watch services at the API server for \d+s, serving the state of /);
});

test.each([
  "HTTP 302",
  "HTTP 400",
  "HTTP 403",
  "HTTP 404",
  "HTTP 500",
  "HTTP 503",
  "no connection",
  "no answer",
] as const)("an outage of an hour in which %s answers everything is followed by no list", async (name) => {
  let isOut = false;
  const one = await refusing(() => isOut, REJECTIONS[name]);
  await one.startWith("a");
  await one.clock.advance(1000);
  isOut = true;
  endStreams(one);
  await one.clock.advance(HOUR_MS);
  isOut = false;
  one.put("b", 1);
  await one.clock.advance(70_000);
  expect([one.told.services.has("demo/b"), one.stats.lists]).toEqual([true, 1]);
});

test.each([
  ["nothing", "", "malformed"],
  ["no list", '{"kind":"Status","metadata":{}}', "malformed"],
  ["half a list", '{"kind":"ServiceList","meta', "malformed"],
  ["an older list", '{"metadata":{"resourceVersion":"99"},"items":[]}', "behind"],
])("a probe that is answered 200 with %s proves nothing", async (_, body, reason) => {
  const isProbe = ({ query }: ApiRequest) => query.get("limit") === "1";
  const one = await refusing(isProbe, { kind: "answer", status: 200, body });
  one.model.behaviour.watchList = "no-end-bookmark";
  await one.startWith("a");
  await one.clock.advance(50_000);
  const progressAtMs = one.stats.lastProgressAtMs;
  await one.clock.advance(550_000);
  expect(one.stats.endings.get(reason)).toBeGreaterThan(0);
  expect(one.stats.lastProgressAtMs).toBe(progressAtMs);
});
