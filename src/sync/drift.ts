import { sameRealServer, sameVirtualServer } from "../model/kernel/ipvs.ts";
import type { ServerState } from "../model/kernel/server-state.ts";
import type { DriftCount, DriftKind, DriftObject } from "./sync-report.ts";

/** Counts differences by what differs and how. */
export class DriftCounts {
  readonly #counts = new Map<string, { object: DriftObject; kind: DriftKind; count: number }>();

  add(object: DriftObject, kind: DriftKind): void {
    const name = `${object} ${kind}`;
    const entry = this.#counts.get(name);
    if (entry === undefined) this.#counts.set(name, { object, kind, count: 1 });
    else entry.count++;
  }

  list(): DriftCount[] {
    return [...this.#counts.values()].map((count) => ({ ...count }));
  }
}

/**
 * How a virtual server that was seen differs from what was believed: `missing` was believed and is not there, `unwanted`
 * is there and was not believed. The real servers of one that is missing or unwanted as a whole are not counted.
 */
export function countServerDrift(
  believed: ServerState | undefined,
  seen: ServerState | undefined,
  counts: DriftCounts,
): void {
  if (believed === undefined || seen === undefined) {
    countPresence("virtual-server", believed !== undefined, seen !== undefined, counts);
    return;
  }
  if (!sameVirtualServer(believed.server, seen.server)) counts.add("virtual-server", "different");
  if (believed.reals.equals(seen.reals)) return;
  const saw = seen.reals.toMap();
  for (const real of believed.reals) {
    const other = saw.get(real.key);
    if (other === undefined) counts.add("real-server", "missing");
    else if (!sameRealServer(real, other)) counts.add("real-server", "different");
  }
  const known = believed.reals.toMap();
  for (const key of saw.keys()) if (!known.has(key)) counts.add("real-server", "unwanted");
}

/** The same for objects that can only be there or not. */
export function countPresence(object: DriftObject, believed: boolean, seen: boolean, counts: DriftCounts): void {
  if (believed && !seen) counts.add(object, "missing");
  if (!believed && seen) counts.add(object, "unwanted");
}
