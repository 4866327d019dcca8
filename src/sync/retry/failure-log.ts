import { THE_NODE } from "../../desired/desired-node.ts";
import type { ServiceName } from "../../model/cluster/service.ts";
import { KeySet, subjectOf } from "../../model/kernel/keys.ts";
import { type ProblemChanges, ProblemTracker } from "../../model/problem-tracker.ts";
import type { Desired } from "../desired.ts";
import type { FailedOperation } from "./failed-operation.ts";

/** The log names at most twenty failures at once, and then one in half a minute. All others are only counted. */
const LIMITS = { kept: 20, burst: 20, refillMs: 30_000 };

/** The failures that the log names, and those that began or ended since the last report. */
export interface FailureReport extends ProblemChanges<FailedOperation> {
  /** The current failures, the oldest first. */
  readonly standing: readonly FailedOperation[];
}

export const NO_FAILURES: FailureReport = { begun: [], ended: [], standing: [] };

/** A failed operation, as the kernel reports it. */
export type OperationFailure = Pick<FailedOperation, "operation" | "errno" | "text">;

type Unowned = Omit<FailedOperation, "services">;

/** Tracks the operations that fail, by key, as long as their attempts fail. */
export class FailureLog {
  readonly #tracker = new ProblemTracker<Unowned>(LIMITS);
  /** The Services of the current failures, by `idOf`, because to find the Services of an object takes a pass over all Services. */
  #services: ReadonlyMap<string, readonly ServiceName[]> = new Map();

  /** Records a failed attempt. A failure with another kind of operation or another errno is reported again. */
  failed(key: string, { operation, errno, text }: OperationFailure, nowMs: number): void {
    const before = this.#tracker.get(key);
    const sinceMs = before?.sinceMs ?? nowMs;
    const attempts = (before?.attempts ?? 0) + 1;
    this.#tracker.set(key, `${operation.kind} ${errno}`, { operation, errno, text, sinceMs, attempts });
  }

  /** Records that the object has the desired state, or needs no operation any more. */
  ended(key: string): void {
    this.#tracker.clear(key);
  }

  /** Returns the failures to report now. */
  report(desired: Pick<Desired, "servicesOf">, nowMs: number): FailureReport {
    const { begun, ended } = this.#tracker.takeChanges(nowMs);
    const standing = [...this.#tracker.standing()];
    if (standing.length === 0 && ended.length === 0) return NO_FAILURES;
    const services = new Map([...this.#services, ...this.#findServices(standing, desired)]);
    const named = (failures: readonly Unowned[]): FailedOperation[] =>
      failures.map((failure) => ({ ...failure, services: services.get(idOf(failure)) ?? [] }));
    this.#services = new Map(named(standing).map((failure) => [idOf(failure), failure.services]));
    return { begun: named(begun), ended: named(ended), standing: named(standing) };
  }

  /** Finds the Services of the failures that are new. */
  #findServices(
    standing: readonly Unowned[],
    desired: Pick<Desired, "servicesOf">,
  ): [string, readonly ServiceName[]][] {
    const fresh = standing.filter((failure) => !this.#services.has(idOf(failure)));
    if (fresh.length === 0) return [];
    const keys = new KeySet();
    for (const { operation } of fresh) keys.add(subjectOf(operation));
    const services = desired.servicesOf(keys);
    return fresh.map((failure) => [
      idOf(failure),
      (services.get(subjectOf(failure.operation).key) ?? []).filter((name) => name !== THE_NODE),
    ]);
  }
}

/** The operation is part of the id, because the Services of an object differ before and after its deletion. */
function idOf({ operation }: Unowned): string {
  return `${operation.kind} ${subjectOf(operation).key}`;
}
