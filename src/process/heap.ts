import { setFlagsFromString } from "node:v8";

/**
 * Tells V8 how this process uses its heap; to be called before anything else. V8 watches which objects survive, and may
 * come to make the short-lived ones of a flush in the old generation: a cold start of 10,000 Services then leaves 20 MB
 * of garbage there. The size of the young generation can be given on the command line alone: see `build.ts`.
 */
export function tuneHeap(): void {
  setFlagsFromString("--no-allocation-site-pretenuring");
}
