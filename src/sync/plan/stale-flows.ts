import type { Outcome } from "../../kernel/kernel.ts";
import { parseVirtualServerKey, type VirtualServer, type VirtualServerKey } from "../../model/kernel/ipvs.ts";
import type { ForgetFlows, Operation } from "../../model/kernel/operation.ts";
import { RealServers } from "../../model/kernel/real-servers.ts";
import type { Desired } from "../desired.ts";
import type { ActualState } from "../resync/actual-state.ts";
import type { FailureLog } from "../retry/failure-log.ts";

/** The wait before the next attempt after the kernel failed to delete flows. */
const RETRY_MS = 5_000;

/**
 * The virtual servers that may have stale flows: conntrack entries whose replies come from other addresses than their real
 * servers. A client that goes on sending from one port, as UDP clients do, keeps its flow alive in conntrack, and IPVS does
 * not rewrite a flow that conntrack tracks already. Flows are therefore deleted
 * - after a real server or the whole virtual server was deleted: IPVS itself does this only from Linux 5.9 on;
 * - after a virtual server or its address was added: earlier packets did not go through IPVS, and their flow is not
 *   masqueraded.
 *
 * Of TCP, only attempts to connect without a reply are concerned, and only after an addition: they passed while the address was
 * not bound, followed a route out of the node, and the client repeats the same packet for two minutes. A connection to a
 * deleted real server has ended.
 */
export class StaleFlows {
  readonly #servers = new Set<VirtualServerKey>();
  readonly #failures: Pick<FailureLog, "failed" | "ended">;
  readonly #failed = new Set<VirtualServerKey>();
  #isUnknown = true;
  #fromMs = 0;

  constructor(failures: Pick<FailureLog, "failed" | "ended">) {
    this.#failures = failures;
  }

  /** Operations may have been done whose flows were not deleted: before the start, or before the connection was lost. */
  markUnknown(): void {
    this.#isUnknown = true;
  }

  /** All virtual servers were compared since `markUnknown`. */
  markKnown(): void {
    this.#isUnknown = false;
  }

  /** After `markUnknown`: suspects the flows to all desired virtual servers among these. */
  compare(keys: Iterable<VirtualServerKey>, desired: Desired): void {
    if (!this.#isUnknown) return;
    for (const key of keys) {
      const want = desired.server(key);
      if (want !== undefined) this.#suspectAnyProtocol(want.server, desired);
    }
  }

  /** Records operations that were sent. Failed ones count too, because an error may mean that the object was in this state already. */
  record(operations: readonly Operation[], actual: ActualState, desired: Desired): void {
    operations.forEach((operation) => {
      this.#recordOne(operation, actual, desired);
    });
  }

  #recordOne(operation: Operation, actual: ActualState, desired: Desired): void {
    switch (operation.kind) {
      case "add-virtual-server":
        this.#suspectAnyProtocol(operation.server, desired);
        return;
      case "delete-virtual-server":
      case "delete-real-server":
        this.#suspect(operation.server, desired);
        return;
      case "bind-address":
        for (const key of actual.serversAt(operation.address))
          this.#suspectAnyProtocol(actual.server(key)?.server, desired);
        return;
      case "update-virtual-server":
      case "add-real-server":
      case "update-real-server":
      case "unbind-address":
      case "add-entry":
      case "delete-entry":
      case "forget-flows":
        return;
    }
  }

  /** When flows are to be deleted; Infinity if there are none. */
  nextMs(): number {
    return this.#servers.size === 0 ? Number.POSITIVE_INFINITY : this.#fromMs;
  }

  /**
   * Yields the operations that delete stale flows now. A virtual server that is desired and does not exist is left out: its
   * flows are deleted after it was added.
   */
  *plan(desired: Desired, actual: ActualState, nowMs: number): Generator<ForgetFlows> {
    if (nowMs < this.#fromMs) return;
    const unions = new Unions();
    for (const to of this.#servers) {
      const have = actual.server(to);
      if (have === undefined && desired.server(to) !== undefined) this.#done(to);
      else {
        const all = [to, ...desired.counterparts(to)].map((key) => actual.server(key)?.reals ?? RealServers.NONE);
        yield { kind: "forget-flows", to, keep: all.reduce((one, other) => unions.of(one, other)) };
      }
    }
  }

  /** Records the results of these operations. Failed ones are tried again later. */
  recordOutcomes(operations: readonly ForgetFlows[], outcomes: readonly Outcome[], nowMs: number): void {
    for (const [index, operation] of operations.entries()) {
      const outcome = outcomes[index];
      if (outcome?.ok !== false) {
        this.#done(operation.to);
        continue;
      }
      this.#fromMs = nowMs + RETRY_MS;
      this.#failed.add(operation.to);
      const { errno, text = "" } = outcome;
      this.#failures.failed(failureKey(operation.to), { operation, errno, text }, nowMs);
    }
  }

  #done(to: VirtualServerKey): void {
    this.#servers.delete(to);
    if (this.#failed.delete(to)) this.#failures.ended(failureKey(to));
  }

  #suspect(server: VirtualServer, desired: Desired): void {
    for (const key of frontends(server, desired))
      if (parseVirtualServerKey(key).protocol !== "TCP") this.#servers.add(key);
  }

  #suspectAnyProtocol(server: VirtualServer | undefined, desired: Desired): void {
    if (server !== undefined) for (const key of frontends(server, desired)) this.#servers.add(key);
  }
}

/** A flow has no mark: for a virtual server by mark, these are the frontends with this mark. */
function frontends({ key, mark }: VirtualServer, desired: Desired): Iterable<VirtualServerKey> {
  return mark === 0 ? [key] : desired.counterparts(key);
}

/** Differs from the key of the virtual server itself, which may fail for other reasons. */
function failureKey(to: VirtualServerKey): string {
  return `flows to ${to}`;
}

/** The unions of the real servers of two virtual servers, each computed once for all frontends that share them. */
class Unions {
  readonly #known = new Map<RealServers, Map<RealServers, RealServers>>();

  of(one: RealServers, other: RealServers): RealServers {
    if (one.equals(other) || other.size === 0) return one;
    if (one.size === 0) return other;
    const known = this.#known.get(one) ?? new Map<RealServers, RealServers>();
    this.#known.set(one, known);
    const union = known.get(other) ?? RealServers.of([...new Map([...one.toMap(), ...other.toMap()]).values()]);
    known.set(other, union);
    return union;
  }
}
