import { THE_NODE } from "../../desired/node-wants.ts";
import type { ServiceName } from "../../model/cluster/service.ts";
import { KeySet, subjectOf } from "../../model/kernel/keys.ts";
import { type ProblemChanges, ProblemTracker } from "../../model/problem-tracker.ts";
import type { Desired } from "../desired.ts";
import type { FailedOperation } from "./failed-operation.ts";

/** A node on which everything fails names twenty failures at once and then one in half a minute. All others are counted. */
const LIMITS = { kept: 20, burst: 20, refillMs: 30_000 };

/** The failures that are named, and which of them began or ended since the last report. */
export interface FailureReport extends ProblemChanges<FailedOperation> {
  /** Those that stand, the oldest first. */
  readonly standing: readonly FailedOperation[];
}

export const NO_FAILURES: FailureReport = { begun: [], ended: [], standing: [] };

/** A refusal as the kernel gives it. */
export type OperationFailure = Pick<FailedOperation, "operation" | "errno" | "text">;

type Unowned = Omit<FailedOperation, "services">;

/** Names what the kernel refuses: by key, for as long as attempts fail. */
export class FailureLog {
  readonly #tracker = new ProblemTracker<Unowned>(LIMITS);
  /** Of the failures that stand, by `idOf`: to find the Services of an object takes a walk over all Services. */
  #services: ReadonlyMap<string, readonly ServiceName[]> = new Map();

  /** An attempt has failed. Another kind of operation or another errno than before is reported anew. */
  failed(key: string, { operation, errno, text }: OperationFailure, nowMs: number): void {
    const before = this.#tracker.get(key);
    const sinceMs = before?.sinceMs ?? nowMs;
    const attempts = (before?.attempts ?? 0) + 1;
    this.#tracker.set(key, `${operation.kind} ${errno}`, { operation, errno, text, sinceMs, attempts });
  }

  /** The object is as it should be, or nothing is to be done about it any longer. */
  ended(key: string): void {
    this.#tracker.clear(key);
  }

  /** What is to be reported now. */
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

  /** The Services of those failures of which they are not known yet. */
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

/** Who wants an object changes with what is to be done with it. */
function idOf({ operation }: Unowned): string {
  return `${operation.kind} ${subjectOf(operation).key}`;
}
