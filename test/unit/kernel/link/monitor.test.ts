import { type ChildProcess, spawn } from "node:child_process";
import { expect, test } from "vitest";
import { monitorAddresses } from "../../../../src/kernel/link/monitor.ts";
import { HandClock } from "../../../support/api/worlds/hand-clock.ts";
import { SILENT_LOGGER } from "../../../support/api/worlds/silent-logger.ts";
import { eventually } from "../../../support/time/eventually.ts";

/** A monitor whose listener is a shell that runs this script. */
function setUp(script: string) {
  const clock = new HandClock();
  const heard: string[] = [];
  const started: ChildProcess[] = [];
  /** The waits before each restart. */
  const waits: unknown[] = [];
  const stop = new AbortController();
  const over = monitorAddresses(
    {
      clock,
      logger: { ...SILENT_LOGGER, warn: ({ restartMs }) => waits.push(restartMs) },
      onChange: ({ kind, link, address }) => heard.push(`${kind} ${link} ${address}`),
      onGap: () => heard.push("gap"),
      start: () => {
        const child = spawn("sh", ["-c", script], { stdio: ["ignore", "pipe", "pipe"] });
        started.push(child);
        return child;
      },
      binding: "address",
    },
    stop.signal,
  );
  return { clock, heard, started, waits, stop, over };
}

const LINE = "90: kube-ipvs0    inet 10.96.0.1/32 scope global kube-ipvs0";

test("address changes are reported in order, errors of the monitor and unreadable lines as gaps", async () => {
  const { heard, started, stop, over } = setUp(
    `echo '${LINE}'; echo 'Deleted ${LINE}'; sleep 0.1; echo oops >&2; sleep 0.1; echo strange; exec sleep 60`,
  );
  await eventually(() => expect(heard).toHaveLength(4));
  expect(heard).toEqual(["appeared kube-ipvs0 10.96.0.1", "vanished kube-ipvs0 10.96.0.1", "gap", "gap"]);
  stop.abort();
  await over;
  expect(started.map(({ signalCode }) => signalCode)).toEqual(["SIGTERM"]);
});

test("a gap is reported as soon as a monitor must be listening", async () => {
  const { clock, heard, stop, over } = setUp("exec sleep 60");
  await clock.advance(999);
  expect(heard).toEqual([]);
  await clock.advance(1);
  expect(heard).toEqual(["gap"]);
  stop.abort();
  await over;
});

test("a listener that ends is restarted after a wait that doubles up to a minute", async () => {
  const { clock, waits, stop, over } = setUp("exit 1");
  for (let count = 1; count <= 8; count++) {
    await eventually(() => expect(waits.length).toBeGreaterThanOrEqual(count));
    await clock.advance(Number(waits.at(-1)));
  }
  expect(waits.slice(0, 8)).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
  stop.abort();
  await over;
});

test("a monitor that has listened for a minute is restarted soon", async () => {
  const { clock, started, waits, stop, over } = setUp("exec sleep 60");
  for (const count of [1, 2, 3]) {
    await eventually(() => expect(started).toHaveLength(count));
    await clock.advance(60_000);
    started.at(-1)?.kill();
    await eventually(() => expect(waits).toHaveLength(count));
    await clock.advance(1_000);
  }
  expect(waits).toEqual([1_000, 1_000, 1_000]);
  stop.abort();
  await over;
});

test("a missing program is retried like one that ends", async () => {
  const clock = new HandClock();
  const stop = new AbortController();
  let attempts = 0;
  const start = () => {
    attempts++;
    return spawn("/no/such/program", { stdio: "pipe" });
  };
  const report = { onChange: () => undefined, onGap: () => undefined };
  const options = { clock, logger: SILENT_LOGGER, ...report, start, binding: "address" as const };
  const over = monitorAddresses(options, stop.signal);
  await eventually(() => expect(clock.sleeping).toBe(1));
  await clock.advance(1_000);
  await eventually(() => expect(attempts).toBe(2));
  stop.abort();
  await over;
});
