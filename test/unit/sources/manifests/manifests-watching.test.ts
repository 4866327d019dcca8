import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { watchManifests } from "../../../../src/sources/manifests/manifests.ts";
import { eventually } from "../../../support/time/eventually.ts";
import { short, web, writeManifest } from "../../../support/worlds/manifest-reading.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "manifests-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

const write = (file: string, ...documents: readonly unknown[]) => writeManifest(join(folder, file), ...documents);

describe("watching", () => {
  const stop = new AbortController();
  const watched = (path: string, events: string[], pollMs: number, signal = stop.signal) =>
    watchManifests(path, {
      onEvent: (event) => events.push(short(event)),
      onProblems: () => undefined,
      logger: { debug: () => undefined },
      signal,
      settleMs: 5,
      pollMs,
    });

  test("a change is noticed by itself and an abort ends it", async () => {
    await write("a.yaml", web(80));
    const events: string[] = [];
    const abort = new AbortController();
    const running = watched(folder, events, 60_000, abort.signal);
    await eventually(() => expect(events).toContain("+Service shop/web 80"));
    await write("a.yaml", web(81));
    await eventually(() => expect(events).toContain("+Service shop/web 81"));
    abort.abort();
    await running;
  });

  test("a single file that is replaced is followed", async () => {
    await write("a.yaml", web(80));
    const events: string[] = [];
    const abort = new AbortController();
    const running = watched(join(folder, "a.yaml"), events, 60_000, abort.signal);
    await eventually(() => expect(events).toContain("+Service shop/web 80"));
    await write("new", web(81));
    await rename(join(folder, "new"), join(folder, "a.yaml"));
    await eventually(() => expect(events).toContain("+Service shop/web 81"));
    abort.abort();
    await running;
  });

  test("a single file that went away is found again when it comes back", async () => {
    await write("a.yaml", web(80));
    const told: string[] = [];
    const abort = new AbortController();
    const running = watchManifests(join(folder, "a.yaml"), {
      onEvent: (event) => told.push(short(event)),
      onProblems: (count) => told.push(`${count} wrong`),
      logger: { debug: () => undefined },
      signal: abort.signal,
      settleMs: 5,
      pollMs: 60_000,
    });
    await eventually(() => expect(told).toContain("+Service shop/web 80"));
    await rm(join(folder, "a.yaml"));
    await eventually(() => expect(told).toContain("1 wrong"));
    await write("a.yaml", web(81));
    await eventually(() => expect(told).toContain("+Service shop/web 81"));
    abort.abort();
    await running;
  });

  test("a folder that comes later is found by polling", async () => {
    const path = join(folder, "not", "yet");
    const events: string[] = [];
    const abort = new AbortController();
    const running = watched(path, events, 10, abort.signal);
    await mkdir(path, { recursive: true });
    await write("not/yet/a.yaml", web(80));
    await eventually(() => expect(events).toContain("+Service shop/web 80"));
    abort.abort();
    await running;
  });

  test("what the listener throws ends it", async () => {
    const failing = watchManifests(folder, {
      onEvent: () => {
        throw new Error("no more");
      },
      onProblems: () => undefined,
      logger: { debug: () => undefined },
      signal: stop.signal,
    });
    await expect(failing).rejects.toThrow("no more");
  });
});
