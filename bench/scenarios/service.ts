import { setTimeout as sleep } from "node:timers/promises";
import type { Running } from "../subjects/running.ts";
import { CHANGE_LIMIT_MS, type Stage, sendSamples } from "./stage.ts";

const WARM_UP = 2;
const COUNT = 20;
const SLOW_COUNT = 5;
const SLOW_MS = 500;
const PAUSE_MS = 50;

/** A Service with its endpoints is added, and deleted when the kernel has it. */
export async function addAndDelete({ world, spec }: Stage, running: Running): Promise<void> {
  const check = () => running.check();
  const added: number[] = [];
  const deleted: number[] = [];
  let count = COUNT;
  for (let turn = 0; turn < WARM_UP + count; turn++) {
    const index = world.size.services + turn;
    const startMs = performance.now();
    world.state.addService(index, Math.min(100, world.size.endpoints));
    const addedMs = (await world.until(world.expectationsOf(index), CHANGE_LIMIT_MS, check)) - startMs;
    await sleep(PAUSE_MS * Math.random());
    const gone = world.gone(index);
    const deletedAtMs = performance.now();
    world.state.deleteService(index);
    const deletedMs = (await world.until(gone, CHANGE_LIMIT_MS, check)) - deletedAtMs;
    if (addedMs > SLOW_MS) count = SLOW_COUNT;
    if (turn >= WARM_UP) {
      added.push(addedMs);
      deleted.push(deletedMs);
    }
    await sleep(PAUSE_MS * Math.random());
  }
  const both = { unit: "ms", as: "percentiles", warmUp: WARM_UP } as const;
  sendSamples(
    spec,
    "Service added and deleted",
    { metric: "added", samples: added, ...both },
    { metric: "deleted", samples: deleted, ...both },
  );
}
