import { setFlagsFromString } from "node:v8";

/**
 * Sets how V8 uses the heap of this process; it must be called before anything else. V8 observes which objects survive,
 * and may begin to allocate the short-lived objects of a sync in the old generation: a cold start of 10,000 Services
 * then leaves 20 MB of garbage there. The size of the young generation can be set only on the command line: see
 * `build.ts`.
 */
export function tuneHeap(): void {
  setFlagsFromString("--no-allocation-site-pretenuring");
}
