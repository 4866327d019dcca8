import type { Size } from "../report/size.ts";

/** Changes of the sync part: those that count, and those before them. */
export interface ChangeCount {
  readonly warmUp: number;
  readonly count: number;
}

const USUAL: ChangeCount = { warmUp: 20, count: 300 };
/** One change of a Service with 1,000 ports is 3,000 operations. */
const OF_LARGE_SERVICES: ChangeCount = { warmUp: 3, count: 30 };
const LARGE_SERVICE = 100;

export function changeCountOf({ ports, endpoints }: Size): ChangeCount {
  return ports >= LARGE_SERVICE || endpoints >= LARGE_SERVICE * 10 ? OF_LARGE_SERVICES : USUAL;
}
