import type { Scheduler, SchedulerFlag } from "./ipvs.ts";

/** The schedulers that Linux has (net/netfilter/ipvs); whether this kernel has the module only the kernel can say. */
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

/** How a virtual server picks among its real servers. */
export interface Scheduling {
  readonly scheduler: Scheduler;
  /** Sorted. */
  readonly flags: readonly SchedulerFlag[];
}

const NO_FLAGS: readonly SchedulerFlag[] = [];
const NAMED_FLAGS: ReadonlyMap<string, readonly SchedulerFlag[]> = new Map<string, readonly SchedulerFlag[]>([
  ["sh", ["sh-fallback", "sh-port"]],
  ["mh", ["mh-fallback", "mh-port"]],
]);

/** The scheduler of that name; undefined when Linux has none. */
export function parseScheduler(text: string): Scheduler | undefined {
  // The list is what makes a name one.
  return SCHEDULERS.find((known) => known === text) as string | undefined as Scheduler | undefined;
}

/** What the scheduler can be told, in the words of `ipvsadm -b`. */
export function namedFlags(scheduler: string): readonly SchedulerFlag[] {
  return NAMED_FLAGS.get(scheduler) ?? NO_FLAGS;
}

/**
 * The scheduler as it works where nobody said how: `mh` without the port would send all connections of a client to one
 * endpoint, which is session affinity that nobody asked for.
 */
export function usualScheduling(scheduler: Scheduler): Scheduling {
  return { scheduler, flags: scheduler === "mh" ? ["mh-port"] : NO_FLAGS };
}
