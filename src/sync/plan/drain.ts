import type { ConnectionCounts } from "../../kernel/kernel.ts";
import type { Protocol } from "../../model/cluster/service.ts";
import type { RealServerKey, VirtualServer, VirtualServerKey } from "../../model/kernel/ipvs.ts";
import { RealServers } from "../../model/kernel/real-servers.ts";
import type { ServerState } from "../../model/kernel/server-state.ts";
import { SLICE } from "../resync/comparison.ts";
import { PART } from "./plan.ts";

/** Draining real servers that may be deleted now. */
export type DrainedServers = ReadonlyMap<VirtualServerKey, ReadonlySet<RealServerKey>>;

/** Why a drained real server was deleted: its connections have ended, or its time limit was over. */
export type DrainEnd = "idle" | "timeout";

/** A real server that waits for its connections to end, and since when. */
export interface WaitingServer {
  readonly server: VirtualServerKey;
  readonly real: RealServerKey;
  readonly sinceMs: number;
}

/** Returns the real servers that have weight 0 and are not desired. */
export function quiescent(want: ServerState | undefined, have: ServerState): readonly RealServerKey[] {
  const keys: RealServerKey[] = [];
  for (const { mine, other } of have.reals.differences(want?.reals ?? RealServers.NONE))
    if (mine?.weight === 0 && other === undefined) keys.push(mine.key);
  return keys;
}

/**
 * The real servers at weight 0 that wait for their connections to end. The kernel itself has this state (not desired, weight
 * 0). This class adds when the drain began, and the time limit of a Service that may be deleted. After a restart of the agent
 * the time begins again, with the limits of the Services that exist.
 */
export class Draining {
  #timeoutMs: number;
  /** The limits that differ from the default. */
  readonly #limits = new Map<VirtualServerKey, number>();
  readonly #since = new Map<VirtualServerKey, Map<RealServerKey, number>>();
  /** The virtual servers with a real server whose connections were never counted. */
  readonly #fresh = new Set<VirtualServerKey>();
  /** The real servers that may be deleted, and why. */
  readonly #due = new Map<VirtualServerKey, Map<RealServerKey, DrainEnd>>();
  readonly #ends: Record<DrainEnd, number> = { idle: 0, timeout: 0 };
  #size = 0;

  /** `timeoutMs` is the default limit. */
  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** Sets the default limit, also for the real servers that wait. */
  setLimit(timeoutMs: number): void {
    this.#timeoutMs = timeoutMs;
  }

  /** The number of real servers that wait. */
  get size(): number {
    return this.#size;
  }

  /** The number of drains that have ended, since the start. */
  get ends(): Readonly<Record<DrainEnd, number>> {
    return { ...this.#ends };
  }

  /** When the oldest drain began; 0 if none waits. Reads all real servers that wait. */
  oldestMs(): number {
    let oldestMs = 0;
    for (const waiting of this.#since.values())
      for (const sinceMs of waiting.values()) if (oldestMs === 0 || sinceMs < oldestMs) oldestMs = sinceMs;
    return oldestMs;
  }

  /** Some of the real servers that wait, no more than `limit`. */
  waiting(limit: number): readonly WaitingServer[] {
    const listed: WaitingServer[] = [];
    for (const [server, reals] of this.#since)
      for (const [real, sinceMs] of reals) {
        if (listed.length >= limit) return listed;
        listed.push({ server, real, sinceMs });
      }
    return listed;
  }

  /** Whether real servers wait for their connections before they are deleted. UDP and SCTP have no connections that end. */
  drains(protocol: Protocol, limitMs: number | undefined): boolean {
    return protocol === "TCP" && (limitMs ?? this.#timeoutMs) > 0;
  }

  /** The limit that was set last, in ms. A virtual server that was read from the kernel has no limit. */
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
    this.#countEnds(key, []);
    this.#since.delete(key);
    this.#limits.delete(key);
    this.#fresh.delete(key);
  }

  /** Says which real servers of a virtual server wait, at least one; one that did already keeps its time. */
  set(key: VirtualServerKey, waiting: readonly RealServerKey[], limitMs: number | undefined, nowMs: number): void {
    if (limitMs === undefined) this.#limits.delete(key);
    else this.#limits.set(key, limitMs);
    const before = this.#since.get(key);
    this.#countEnds(key, waiting);
    this.#size += waiting.length - (before?.size ?? 0);
    if (waiting.some((real) => before?.has(real) !== true)) this.#fresh.add(key);
    this.#since.set(key, new Map(waiting.map((real) => [real, before?.get(real) ?? nowMs])));
  }

  /** Returns the real servers that may be deleted: they have no connection, or the limit is over. */
  due(key: VirtualServerKey, counted: ReadonlyMap<RealServerKey, ConnectionCounts>, nowMs: number): Set<RealServerKey> {
    const due = new Set<RealServerKey>();
    const timeoutMs = this.#limits.get(key) ?? this.#timeoutMs;
    for (const [real, sinceMs] of this.#since.get(key) ?? []) {
      const connections = counted.get(real);
      if (connections === undefined) continue;
      const idle = connections.active + connections.inactive === 0;
      if (!idle && nowMs - sinceMs < timeoutMs) continue;
      due.add(real);
      this.#markDue(key, real, idle ? "idle" : "timeout");
    }
    return due;
  }

  #markDue(key: VirtualServerKey, real: RealServerKey, end: DrainEnd): void {
    const marked = this.#due.get(key) ?? new Map<RealServerKey, DrainEnd>();
    this.#due.set(key, marked.set(real, end));
  }

  /** Counts the real servers that were due and wait no more. A deletion that failed is counted when it has succeeded. */
  #countEnds(key: VirtualServerKey, waiting: readonly RealServerKey[]): void {
    const due = this.#due.get(key);
    if (due === undefined) return;
    const still = new Set(waiting);
    for (const [real, end] of due) if (!still.has(real)) this.#ends[end]++;
    this.#due.delete(key);
  }

  /** Whether the connections of all waiting real servers were counted. A real server without a count was deleted by another process. */
  isCounted(key: VirtualServerKey, counted: ReadonlyMap<RealServerKey, ConnectionCounts>): boolean {
    return [...(this.#since.get(key)?.keys() ?? [])].every((real) => counted.has(real));
  }
}
