import type { Connections } from "../../kernel/kernel.ts";
import type { Protocol } from "../../model/cluster/service.ts";
import type { RealServerKey, VirtualServer, VirtualServerKey } from "../../model/kernel/ipvs.ts";
import { RealServers } from "../../model/kernel/real-servers.ts";
import type { ServerState } from "../../model/kernel/server-state.ts";
import { SLICE } from "../resync/comparison.ts";
import { PART } from "./parts.ts";

/** Draining real servers that may go now. */
export type DrainedServers = ReadonlyMap<VirtualServerKey, ReadonlySet<RealServerKey>>;

/** The real servers that are held at weight 0 and not wanted. */
export function quiescent(want: ServerState | undefined, have: ServerState): readonly RealServerKey[] {
  const keys: RealServerKey[] = [];
  for (const { mine, other } of have.reals.differences(want?.reals ?? RealServers.NONE))
    if (mine?.weight === 0 && other === undefined) keys.push(mine.key);
  return keys;
}

/**
 * The real servers at weight 0 that wait for their connections to end. That they do is written in the kernel (not wanted,
 * weight 0); here is only since when this process has known, and what limit a Service has set that may be gone. A restart
 * begins the time anew, with the limit of those that are there.
 */
export class Draining {
  readonly #timeoutMs: number;
  /** Where it is not that of all. */
  readonly #limits = new Map<VirtualServerKey, number>();
  readonly #since = new Map<VirtualServerKey, Map<RealServerKey, number>>();
  /** Virtual servers with a member whose connections were never asked for. */
  readonly #fresh = new Set<VirtualServerKey>();
  #size = 0;

  /** `timeoutMs` is for virtual servers that have no limit of their own. */
  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** How many real servers wait. */
  get size(): number {
    return this.#size;
  }

  /** Whether real servers wait for their connections before they go. Those of UDP and SCTP have none to wait for. */
  drains(protocol: Protocol, limitMs: number | undefined): boolean {
    return protocol === "TCP" && (limitMs ?? this.#timeoutMs) > 0;
  }

  /** The limit last set, in ms: while real servers wait the virtual server may have been seen anew, without it. */
  limitOf({ key, drainTimeoutMs }: VirtualServer): number | undefined {
    return this.#limits.get(key) ?? drainTimeoutMs;
  }

  /** Virtual servers with a real server that waits. */
  servers(): Iterable<VirtualServerKey> {
    return this.#since.keys();
  }

  /** The virtual servers in slices of no more than SLICE, and of about PART real servers that wait. */
  *slices(keys: readonly VirtualServerKey[]): Generator<ReadonlySet<VirtualServerKey>> {
    let slice = new Set<VirtualServerKey>();
    let waiting = 0;
    for (const key of keys) {
      slice.add(key);
      waiting += this.#since.get(key)?.size ?? 0;
      if (slice.size < SLICE && waiting < PART) continue;
      yield slice;
      slice = new Set();
      waiting = 0;
    }
    if (slice.size > 0) yield slice;
  }

  /** Those of them with one that came since this was last called. */
  takeFresh(): VirtualServerKey[] {
    const fresh = [...this.#fresh];
    this.#fresh.clear();
    return fresh;
  }

  /** No real server of the virtual server waits. */
  forget(key: VirtualServerKey): void {
    this.#size -= this.#since.get(key)?.size ?? 0;
    this.#since.delete(key);
    this.#limits.delete(key);
    this.#fresh.delete(key);
  }

  /** Says which real servers of a virtual server wait, at least one; one that did already keeps its time. */
  set(key: VirtualServerKey, waiting: readonly RealServerKey[], limitMs: number | undefined, nowMs: number): void {
    if (limitMs === undefined) this.#limits.delete(key);
    else this.#limits.set(key, limitMs);
    const before = this.#since.get(key);
    this.#size += waiting.length - (before?.size ?? 0);
    if (waiting.some((real) => before?.has(real) !== true)) this.#fresh.add(key);
    this.#since.set(key, new Map(waiting.map((real) => [real, before?.get(real) ?? nowMs])));
  }

  /** Those that may go: no connection is left, or the time is up. */
  due(key: VirtualServerKey, counted: ReadonlyMap<RealServerKey, Connections>, nowMs: number): Set<RealServerKey> {
    const due = new Set<RealServerKey>();
    const timeoutMs = this.#limits.get(key) ?? this.#timeoutMs;
    for (const [real, sinceMs] of this.#since.get(key) ?? []) {
      const connections = counted.get(real);
      if (connections === undefined) continue;
      const idle = connections.active + connections.inactive === 0;
      if (idle || nowMs - sinceMs >= timeoutMs) due.add(real);
    }
    return due;
  }

  /** Whether all that wait were counted; one that was not is gone from the kernel. */
  isCounted(key: VirtualServerKey, counted: ReadonlyMap<RealServerKey, Connections>): boolean {
    return [...(this.#since.get(key)?.keys() ?? [])].every((real) => counted.has(real));
  }
}
