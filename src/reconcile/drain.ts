import type { Connections, ServerState } from "../kernel/kernel.ts";
import type { RealServerKey, VirtualServerKey } from "../model/ipvs.ts";
import type { Protocol } from "../model/service.ts";

/** Whether real servers of the protocol wait for their connections before they go. UDP and SCTP have none to wait for. */
export function drains(protocol: Protocol, timeoutMs: number): boolean {
  return protocol === "TCP" && timeoutMs > 0;
}

/** The real servers that are held at weight 0 and not wanted. */
export function* quiescent(want: ServerState | undefined, have: ServerState): Generator<RealServerKey> {
  if (want?.reals.equals(have.reals) === true) return;
  for (const real of have.reals) if (real.weight === 0 && want?.reals.has(real.key) !== true) yield real.key;
}

/**
 * The real servers at weight 0 that wait for their connections to end. That they do is written in the kernel (not wanted,
 * weight 0); here is only since when this process has known, so that a restart begins the time anew.
 */
export class Draining {
  readonly #timeoutMs: number;
  readonly #since = new Map<VirtualServerKey, Map<RealServerKey, number>>();
  /** Virtual servers with a member whose connections were never asked for. */
  readonly #fresh = new Set<VirtualServerKey>();
  #size = 0;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** How many real servers wait. */
  get size(): number {
    return this.#size;
  }

  /** Virtual servers with a real server that waits. */
  servers(): Iterable<VirtualServerKey> {
    return this.#since.keys();
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
    this.#fresh.delete(key);
  }

  /** Says which real servers of a virtual server wait, at least one; one that did already keeps its time. */
  set(key: VirtualServerKey, waiting: readonly RealServerKey[], nowMs: number): void {
    const before = this.#since.get(key);
    this.#size += waiting.length - (before?.size ?? 0);
    if (waiting.some((real) => before?.has(real) !== true)) this.#fresh.add(key);
    this.#since.set(key, new Map(waiting.map((real) => [real, before?.get(real) ?? nowMs])));
  }

  /** Those that may go: no connection is left, or the time is up. */
  due(key: VirtualServerKey, counted: ReadonlyMap<RealServerKey, Connections>, nowMs: number): Set<RealServerKey> {
    const due = new Set<RealServerKey>();
    for (const [real, sinceMs] of this.#since.get(key) ?? []) {
      const connections = counted.get(real);
      if (connections === undefined) continue;
      const idle = connections.active + connections.inactive === 0;
      if (idle || nowMs - sinceMs >= this.#timeoutMs) due.add(real);
    }
    return due;
  }

  /** Whether all that wait were counted; one that was not is gone from the kernel. */
  isCounted(key: VirtualServerKey, counted: ReadonlyMap<RealServerKey, Connections>): boolean {
    return [...(this.#since.get(key)?.keys() ?? [])].every((real) => counted.has(real));
  }
}
