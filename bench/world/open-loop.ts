import { setTimeout as sleep } from "node:timers/promises";
import type { Expectation, Observer } from "../observer/observer.ts";
import { CHANGE_LIMIT_MS } from "../scenarios/stage.ts";

/** Changes to make at a rate, whether or not those before have arrived. */
export interface Load {
  /** Number of changes; the last ones are awaited. */
  readonly count: number;
  /** Pause between two changes; it varies between 0 and twice this value. */
  readonly meanPauseMs: number;
  /** With more changes that have not arrived, the next one waits. */
  readonly mostAwaited: number;
  /** One in so many changes is observed. */
  readonly observeOneIn: number;
  /** Makes a change; returns what must hold then. */
  readonly change: (number: number) => readonly Expectation[];
  readonly check: () => void;
}

interface Awaited {
  readonly expectations: readonly Expectation[];
  readonly sentAtMs: number;
}

/** How the load went. */
export interface LoadResult {
  /** For each observed change, from the change in the API server to the kernel: ms, in the order of arrival. */
  readonly latencies: readonly number[];
  /** Changes a second that were made. */
  readonly rate: number;
  readonly elapsedMs: number;
}

/** A world whose kernel is read. */
interface Observed {
  readonly observer: Pick<Observer, "holds" | "pauseMs">;
}

/** Changes read in one poll: reading hundreds would take CPU from the proxy. */
const READ_AT_A_TIME = 4;

/**
 * Makes changes and measures how long each takes to the kernel. A delayed change may delay those after it, and all count. The
 * oldest changes are read about once a millisecond; a change that is found late counts as late.
 */
export async function applyLoad(world: Observed, load: Load): Promise<LoadResult> {
  const latencies: number[] = [];
  const awaited: Awaited[] = [];
  const startMs = performance.now();
  let made = 0;
  let nextAtMs = startMs;
  let lastMadeMs = startMs;
  while (made < load.count || awaited.length > 0) {
    const beganMs = performance.now();
    while (made < load.count && performance.now() >= nextAtMs && awaited.length < load.mostAwaited) {
      const sentAtMs = performance.now();
      const expectations = load.change(made);
      if (made % load.observeOneIn === 0) awaited.push({ expectations, sentAtMs });
      made++;
      lastMadeMs = sentAtMs;
      // A change that had to wait is not made up for, so that a slow proxy does not get a burst.
      nextAtMs = Math.max(nextAtMs + 2 * load.meanPauseMs * Math.random(), sentAtMs - load.meanPauseMs);
    }
    await poll(world, awaited, latencies);
    load.check();
    await sleep(awaited.length > 0 ? Math.max(world.observer.pauseMs, performance.now() - beganMs) : 1);
  }
  const madeMs = Math.max(1, lastMadeMs - startMs);
  return { latencies, rate: (made * 1000) / madeMs, elapsedMs: performance.now() - startMs };
}

async function poll(world: Observed, awaited: Awaited[], latencies: number[]): Promise<void> {
  const read = awaited.slice(0, READ_AT_A_TIME);
  if (read.length === 0) return;
  const held = await world.observer.holds(read.flatMap(({ expectations }) => expectations));
  const nowMs = performance.now();
  let place = 0;
  for (const change of read) {
    const own = held.slice(place, place + change.expectations.length);
    place += change.expectations.length;
    if (own.every((holds) => holds)) {
      latencies.push(nowMs - change.sentAtMs);
      awaited.splice(awaited.indexOf(change), 1);
    } else if (nowMs - change.sentAtMs > CHANGE_LIMIT_MS) {
      const [one] = change.expectations;
      throw new Error(
        `a change of ${one?.address}:${one?.port} is not in the kernel after ${CHANGE_LIMIT_MS / 1000} s`,
      );
    }
  }
}
