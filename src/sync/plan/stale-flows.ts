import type { Outcome } from "../../kernel/kernel.ts";
import { parseVirtualServerKey, type VirtualServer, type VirtualServerKey } from "../../model/kernel/ipvs.ts";
import type { ForgetFlows, Operation } from "../../model/kernel/operation.ts";
import { RealServers } from "../../model/kernel/real-servers.ts";
import type { Desired } from "../desired.ts";
import type { ActualState } from "../resync/actual-state.ts";
import type { FailureLog } from "../retry/failure-log.ts";

/** How long those wait that the kernel would not forget. */
const RETRY_MS = 5_000;

/**
 * The virtual servers to which there may be flows that go elsewhere than to their real servers. A client that goes on
 * sending from one port, as UDP clients do, keeps its flow alive in conntrack, and IPVS rewrites no flow that conntrack
 * knows already. So flows are forgotten
 * - when a real server has gone, or the whole virtual server: IPVS itself sees to these only from Linux 5.9 on
 * - when a virtual server is new, or its address: what clients sent before was not for IPVS, and its flow is not masqueraded
 *
 * TCP needs none of this: a connection to a real server that is gone is over, and a refused one leaves no flow.
 */
export class StaleFlows {
  readonly #servers = new Set<VirtualServerKey>();
  readonly #failures: Pick<FailureLog, "failed" | "ended">;
  #isUnknown = true;
  #fromMs = 0;

  constructor(failures: Pick<FailureLog, "failed" | "ended">) {
    this.#failures = failures;
  }

  /** Operations may have been done and their flows not seen to: before our start, or before the transport was lost. */
  markUnknown(): void {
    this.#isUnknown = true;
  }

  /** What was in doubt is suspected now. */
  markKnown(): void {
    this.#isUnknown = false;
  }

  /** While in doubt, suspects the flows to all of these that are wanted. */
  compare(keys: Iterable<VirtualServerKey>, desired: Desired): void {
    if (!this.#isUnknown) return;
    for (const key of keys) {
      const want = desired.server(key);
      if (want !== undefined) this.#suspect(want.server, desired);
    }
  }

  /** Takes in what was asked of the kernel, its answers folded into `held`. A refusal may mean that it was so already. */
  record(operations: readonly Operation[], actual: ActualState, desired: Desired): void {
    operations.forEach((operation) => {
      this.#recordOne(operation, actual, desired);
    });
  }

  #recordOne(operation: Operation, actual: ActualState, desired: Desired): void {
    switch (operation.kind) {
      case "add-virtual-server":
      case "delete-virtual-server":
      case "delete-real-server":
        this.#suspect(operation.server, desired);
        return;
      case "bind-address":
        for (const key of actual.serversAt(operation.address)) this.#suspectActual(key, actual, desired);
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

  /** When there is something to forget; Infinity without. */
  nextMs(): number {
    return this.#servers.size === 0 ? Number.POSITIVE_INFINITY : this.#fromMs;
  }

  /**
   * What is to be forgotten now, as it is iterated. Of a virtual server that is wanted and not there, nothing: its flows
   * count when it is.
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

  /** Takes in what became of that; the refused ones are tried again later. */
  recordOutcomes(operations: readonly ForgetFlows[], outcomes: readonly Outcome[], nowMs: number): void {
    for (const [index, operation] of operations.entries()) {
      const outcome = outcomes[index];
      if (outcome?.ok !== false) {
        this.#done(operation.to);
        continue;
      }
      this.#fromMs = nowMs + RETRY_MS;
      const { errno, text = "" } = outcome;
      this.#failures.failed(failureKey(operation.to), { operation, errno, text }, nowMs);
    }
  }

  #done(to: VirtualServerKey): void {
    this.#servers.delete(to);
    this.#failures.ended(failureKey(to));
  }

  /** No flow names a mark: those by mark stand for the frontends that have it. */
  #suspect({ key, protocol, mark }: VirtualServer, desired: Desired): void {
    if (mark !== 0) for (const counterpart of desired.counterparts(key)) this.#add(counterpart);
    else if (protocol !== "TCP") this.#servers.add(key);
  }

  #add(key: VirtualServerKey): void {
    if (parseVirtualServerKey(key).protocol !== "TCP") this.#servers.add(key);
  }

  #suspectActual(key: VirtualServerKey, actual: ActualState, desired: Desired): void {
    const have = actual.server(key);
    if (have !== undefined) this.#suspect(have.server, desired);
  }
}

/** Beside the key of the virtual server itself, which may fail for other reasons. */
function failureKey(to: VirtualServerKey): string {
  return `flows to ${to}`;
}

/** The real servers of two virtual servers, made once for all frontends that share them. */
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
