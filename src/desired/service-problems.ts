import { byText, firstProblems, LISTED_PROBLEMS, type Problem, problemObject } from "../model/cluster/problem.ts";
import type { ServiceName } from "../model/cluster/service.ts";
import { changesBetween, type ProblemChanges } from "../model/problem-tracker.ts";
import { conflictProblem } from "./claim.ts";
import type { DesiredState } from "./desired-state.ts";

/** The part of the desired state that `ServiceProblems` reads. */
export type ConflictSource = Pick<
  DesiredState,
  "shadowedServers" | "shadowedServices" | "conflictsOf" | "takeChangedShadows"
>;

/**
 * The valid requests of Services that this node does not fulfil. The begin and the end of each problem are reported
 * once. Only Services whose problems may have changed are examined, so that the other Services (up to 50,000) cost
 * nothing.
 */
export class ServiceProblems {
  readonly #desired: ConflictSource;
  /** The requests that the node itself refuses, for the few Services that have any. */
  readonly #byNode = new Map<ServiceName, readonly Problem[]>();
  /** The problems that were listed last, by their texts. */
  readonly #listed = new Map<ServiceName, ReadonlyMap<string, Problem>>();
  readonly #changed = new Set<ServiceName>();
  #size = 0;

  constructor(desired: ConflictSource) {
    this.#desired = desired;
  }

  /** The number of listed problems, as of the last iteration of `takeChanges`. */
  get size(): number {
    return this.#size;
  }

  /** Replaces the problems that the node itself has with a Service. */
  replace(service: ServiceName, problems: readonly Problem[]): void {
    if (problems.length === 0 && !this.#byNode.has(service)) return;
    if (problems.length > 0) this.#byNode.set(service, firstProblems(problems));
    else this.#byNode.delete(service);
    this.#changed.add(service);
  }

  /**
   * Yields the changes, one element for each Service whose problems may have changed. A Service is handled when it is
   * yielded.
   */
  *takeChanges(): Generator<ProblemChanges<Problem>> {
    for (const name of this.#desired.takeChangedShadows()) this.#changed.add(name);
    for (const name of this.#changed) {
      this.#changed.delete(name);
      yield this.#listAnew(name);
    }
  }

  /** All problems of all Services, in no particular order. */
  all(): readonly Problem[] {
    const names = new Set([...this.#byNode.keys(), ...this.#desired.shadowedServices()]);
    return [...names].flatMap((name) => [...this.#list(name).values()]);
  }

  /** The problems of a Service. */
  of(name: ServiceName): readonly Problem[] {
    return [...this.#list(name).values()];
  }

  #listAnew(name: ServiceName): ProblemChanges<Problem> {
    const before = this.#listed.get(name) ?? NOTHING;
    const now = this.#list(name);
    this.#size += now.size - before.size;
    if (now.size === 0) this.#listed.delete(name);
    else this.#listed.set(name, now);
    return changesBetween(before, now);
  }

  /** The problems of a Service, by texts that identify them. */
  #list(name: ServiceName): ReadonlyMap<string, Problem> {
    const listed = new Map(byText(this.#byNode.get(name) ?? []));
    const lost = this.#desired.shadowedServers(name);
    const conflicts = this.#desired.conflictsOf(name);
    for (let left = Math.min(lost, LISTED_PROBLEMS); left > 0; left--) {
      const { value: conflict } = conflicts.next();
      // Only the key identifies a conflict: when 10,000 Services claim one key, a new owner must not be a change for
      // all of them.
      if (conflict !== undefined) listed.set(`conflict ${conflict.key}`, conflictProblem(conflict));
    }
    if (lost > LISTED_PROBLEMS) listed.set("conflicts", moreConflicts(name, lost - LISTED_PROBLEMS));
    return listed;
  }
}

const NOTHING: ReadonlyMap<string, Problem> = new Map();

function moreConflicts(name: ServiceName, count: number): Problem {
  const reason = "virtual servers are already served by other Services";
  return { object: problemObject("Service", name), field: "", value: `${count} more`, reason };
}
