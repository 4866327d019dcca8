import { setTimeout as sleep } from "node:timers/promises";
import type { Running } from "../subjects/running.ts";
import { CHANGE_LIMIT_MS, type Stage, sendSamples } from "./stage.ts";

const PODS = 100;
/** As a Deployment with 10 % surge replaces pods. */
const AT_ONCE = 10;
const STEP_MS = 100;
const ROLLOUTS = 5;
const SLOW_MS = 5_000;

/**
 * A Service with 100 endpoints is updated ten endpoints at a time, every 100 ms: ten new ones, then ten old ones less. It is
 * measured from the last change until the kernel has the new endpoints only.
 */
export async function rollingUpdate({ world, spec }: Stage, running: Running): Promise<void> {
  const check = () => running.check();
  const index = world.size.services + 10_000;
  world.state.addService(index, PODS);
  await world.until(world.expectationsOf(index), CHANGE_LIMIT_MS, check);
  const lags: number[] = [];
  let cpuMs = 0;
  for (let rollout = 0; rollout < ROLLOUTS; rollout++) {
    const before = running.usage();
    const old = world.state.podsOf(index);
    for (let from = 0; from < PODS; from += AT_ONCE) {
      const pods = world.state.podsOf(index);
      const grown = [...pods, ...world.state.newPods(AT_ONCE)];
      world.state.setPods(index, grown);
      await sleep(STEP_MS / 2);
      world.state.setPods(index, grown.slice(AT_ONCE));
      if (from + AT_ONCE < PODS) await sleep(STEP_MS / 2);
    }
    const lastMs = performance.now();
    const expected = world.expectationsOf(index, { present: world.state.podsOf(index), absent: old });
    lags.push((await world.until(expected, CHANGE_LIMIT_MS, check)) - lastMs);
    cpuMs += running.usage().cpuMs - before.cpuMs;
    if ((lags.at(-1) ?? 0) > SLOW_MS) break;
  }
  world.state.deleteService(index);
  sendSamples(
    spec,
    "rolling update of 100 endpoints",
    { metric: "last change to kernel", unit: "ms", samples: lags },
    { metric: "CPU for each update", unit: "ms", samples: [cpuMs / lags.length] },
  );
}
