import { median } from "../report/statistics.ts";
import type { Running } from "../subjects/running.ts";
import { applyLoad } from "../world/open-loop.ts";
import type { World } from "../world/world.ts";
import { CHANGE_LIMIT_MS, type Stage, sendSamples } from "./stage.ts";

const WARM_UP = 20;
const MEAN_PAUSE_MS = 50;
/** Of a proxy that takes longer for one change, a change is awaited before the next. */
const SLOW_MS = 100;
const SLOW_CHANGES = 10;
/** Spreads changes over all Services: prime, so that every Service gets its turn. */
const STEP = 7919;

/** Number of the Service that change number `change` is of. */
export function changedService({ size }: World, change: number): number {
  return (change * STEP) % size.services;
}

/** Replaces the first endpoint of a Service by a new one; returns what must hold then: the new one serves, the old one does not. */
export function replaceEndpoint(world: World, change: number) {
  const index = changedService(world, change);
  const { added, removed } = world.state.replacePod(index);
  return world.expectationsOf(index, { present: [added], absent: [removed] });
}

/**
 * One endpoint changes: 20 such changes a second, each of another Service, whether or not those before have arrived. Resyncs
 * happen meanwhile. A proxy that takes more than 100 ms gets the next change when the one before has arrived.
 */
export async function oneChange({ world, spec }: Stage, running: Running): Promise<void> {
  const check = () => running.check();
  const slow = [];
  for (let change = 0; change < 3; change++) {
    const startMs = performance.now();
    slow.push((await world.until(replaceEndpoint(world, change), CHANGE_LIMIT_MS, check)) - startMs);
  }
  const isSlow = median(slow) > SLOW_MS;
  const load = {
    meanPauseMs: MEAN_PAUSE_MS,
    mostAwaited: isSlow ? 1 : Number.POSITIVE_INFINITY,
    observeOneIn: 1,
    check,
  };
  const change = (number: number) => replaceEndpoint(world, 3 + number);
  if (!isSlow) await applyLoad(world, { ...load, count: WARM_UP, change });
  const before = running.usage();
  // As long as idle lasts, so that resyncs of 30 s are in it.
  const count = isSlow ? SLOW_CHANGES : Math.max(100, (spec.seconds * 1000) / MEAN_PAUSE_MS);
  const { latencies, elapsedMs } = await applyLoad(world, {
    ...load,
    count,
    change: (number) => change(WARM_UP + number),
  });
  const { cpuMs } = running.usage();
  const warmUp = isSlow ? 3 : 3 + WARM_UP;
  const note = isSlow ? "each change when the one before has arrived" : "20 changes a second";
  sendSamples(
    spec,
    "one endpoint changes",
    { metric: "API to kernel", unit: "ms", samples: latencies, as: "percentiles", warmUp, note },
    {
      metric: "CPU for each change",
      unit: "ms",
      samples: [(cpuMs - before.cpuMs) / count],
      note: `all CPU of ${Math.round(elapsedMs / 1000)} s, resyncs included`,
    },
  );
}
