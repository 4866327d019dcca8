import { setTimeout as timer } from "node:timers/promises";
import type { Clock } from "../model/time/clock.ts";

/** Node fires a timer of more milliseconds than this immediately. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * The time of this machine.
 *
 * `now` is CLOCK_MONOTONIC, which stops while the machine is suspended. CLOCK_BOOTTIME would continue, but Node does
 * not read it, and it would be wrong here: timers of Node and of IPVS stop as well, so a drain limit that continued
 * would cut connections before they could end.
 */
export const systemClock: Clock = {
  now: () => performance.now(),
  date: () => new Date(),
  sleep: async (ms, signal) => {
    if (Number.isNaN(ms)) throw new RangeError("Cannot sleep for NaN ms");
    const endMs = performance.now() + ms;
    // A timer counts from the begin of its turn of the event loop, so it may fire too early.
    for (let leftMs = ms; leftMs > 0 && !signal.aborted; leftMs = endMs - performance.now()) {
      const timerMs = Math.min(Math.ceil(leftMs), LONGEST_TIMER_MS);
      await timer(timerMs, undefined, { signal }).catch(() => undefined);
    }
  },
};

/** The CPU time that this process has used in ms, its own and the kernel's on its behalf. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}
