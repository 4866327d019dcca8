import type { Scheduler, SchedulerFlag } from "./ipvs.ts";

/** The schedulers of Linux (net/netfilter/ipvs); only the kernel of the node shows which of them it has. */
export const SCHEDULERS = [
  "rr",
  "wrr",
  "lc",
  "wlc",
  "lblc",
  "lblcr",
  "sh",
  "dh",
  "sed",
  "nq",
  "fo",
  "ovf",
  "mh",
] as const;

/** How a virtual server chooses a real server. */
export interface Scheduling {
  readonly scheduler: Scheduler;
  /** Sorted by text. */
  readonly flags: readonly SchedulerFlag[];
}

const NO_FLAGS: readonly SchedulerFlag[] = [];
const NAMED_FLAGS: ReadonlyMap<string, readonly SchedulerFlag[]> = new Map<string, readonly SchedulerFlag[]>([
  ["sh", ["sh-fallback", "sh-port"]],
  ["mh", ["mh-fallback", "mh-port"]],
]);

/** Returns the scheduler of that name; undefined if Linux has none. */
export function parseScheduler(text: string): Scheduler | undefined {
  // The list contains the text, so it is a Scheduler.
  return SCHEDULERS.find((known) => known === text) as string | undefined as Scheduler | undefined;
}

/** Returns the flags that a scheduler supports, as `ipvsadm -b` names them. */
export function namedFlags(scheduler: string): readonly SchedulerFlag[] {
  return NAMED_FLAGS.get(scheduler) ?? NO_FLAGS;
}

/**
 * Returns the scheduler with its default flags: `mh` without the port would send all connections of a client to one
 * endpoint, which is session affinity without a request for it.
 */
export function usualScheduling(scheduler: Scheduler): Scheduling {
  return { scheduler, flags: scheduler === "mh" ? ["mh-port"] : NO_FLAGS };
}
