import type { Readable } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { EventStreams, MOST_STREAMS, type ReadMessages } from "../../../../src/serve/page/event-streams.ts";
import { HandClock } from "../../../support/api/worlds/hand-clock.ts";

const PERIOD_MS = 2_000;
const RETRY = "retry: 2000\n\n";

function world() {
  const clock = new HandClock();
  let emptied = 0;
  const streams = new EventStreams(clock, () => emptied++);
  /** Opens a stream whose client takes everything at once. */
  const open = (read: ReadMessages) => {
    const stream = streams.open(read);
    const chunks: string[] = [];
    stream?.on("data", (chunk) => chunks.push(String(chunk)));
    return { stream, text: () => chunks.splice(0).join("") };
  };
  return { clock, streams, open, emptied: () => emptied };
}

async function settled(clock: HandClock, ms = 0): Promise<void> {
  await clock.advance(ms);
  for (let turn = 0; turn < 10; turn++) await nextTurn();
}

test("a message is sent at once, and again only when it differs", async () => {
  const { clock, open } = world();
  let count = 1;
  const { text } = open(async () => ({ overview: { count }, service: undefined, services: { same: true } }));
  await settled(clock);
  expect(text()).toBe(`${RETRY}event: overview\ndata: {"count":1}\n\nevent: services\ndata: {"same":true}\n\n`);
  await settled(clock, PERIOD_MS);
  expect(text()).toBe(":\n\n");
  count = 2;
  await settled(clock, PERIOD_MS);
  expect(text()).toBe('event: overview\ndata: {"count":2}\n\n');
});

test("only the first read of a client is told to be the first", async () => {
  const { clock, open } = world();
  const firsts: boolean[] = [];
  open(async (isFirst) => {
    firsts.push(isFirst);
    return { overview: {} };
  });
  await settled(clock);
  await settled(clock, PERIOD_MS);
  expect(firsts).toEqual([true, false]);
});

test("a line break in a value stays in one line of data", async () => {
  const { clock, open } = world();
  const { text } = open(async () => ({ overview: { text: "a\nevent: b\r\n\ndata: c\u2028" } }));
  await settled(clock);
  expect(text().split("\n").length).toBe(6);
});

test("more clients than the limit get no stream until one has gone", async () => {
  const { clock, streams, open, emptied } = world();
  const opened = Array.from({ length: MOST_STREAMS }, () => open(async () => ({ overview: {} })));
  expect(streams.open(async () => ({}))).toBeUndefined();
  opened[3]?.stream?.destroy();
  await settled(clock);
  expect(streams.size).toBe(MOST_STREAMS - 1);
  const another = open(async () => ({ overview: {} }));
  await settled(clock);
  expect(another.text()).toContain("event: overview");
  expect(emptied()).toBe(0);
  for (const { stream } of [...opened, another]) stream?.destroy();
  await settled(clock);
  expect([streams.size, emptied(), clock.sleeping]).toEqual([0, 1, 0]);
});

test("all streams end when they are closed, with a last event, and none opens after that", async () => {
  const { clock, streams, open } = world();
  const { stream, text } = open(async () => ({ overview: {} }));
  await settled(clock);
  text();
  streams.close();
  await settled(clock);
  expect(text()).toBe("event: end\ndata: {}\n\n");
  expect([stream?.readableEnded, streams.size]).toEqual([true, 0]);
  expect(streams.open(async () => ({}))).toBeUndefined();
});

test("one read runs at a time, and the clients together use no more than a twentieth of the time", async () => {
  const { clock, open } = world();
  let running = 0;
  const starts: number[] = [];
  const read = async () => {
    expect(++running).toBe(1);
    starts.push(clock.now());
    await clock.sleep(500, new AbortController().signal);
    running--;
    return { overview: { at: clock.now() } };
  };
  const texts = [open(read), open(read)];
  await settled(clock, 120_000);
  // Each of the two waits 20 times as long as both take.
  expect(starts.length).toBeGreaterThan(6);
  expect(starts.length * 500).toBeLessThanOrEqual(120_000 / 20 + 2 * 500);
  // A silent connection would be closed after 10 s.
  expect(texts[0]?.text()).toContain(":\n\n");
});

test("nothing is read for a client that takes nothing", async () => {
  const { clock, streams } = world();
  let reads = 0;
  const stream: Readable | undefined = streams.open(async () => ({ overview: { reads: ++reads } }));
  stream?.once("readable", () => undefined);
  for (let period = 0; period < 20; period++) await settled(clock, PERIOD_MS);
  expect(reads).toBeLessThan(4);
  stream?.destroy();
});
