import { type Problem, problemObject } from "../model/cluster/problem.ts";
import { LISTED_PROBLEMS } from "../model/cluster/problem-list.ts";
import type { ServiceName } from "../model/cluster/service.ts";
import type { ProblemChanges } from "../model/problem-tracker.ts";
import { conflictProblem } from "./claim.ts";
import type { DesiredState } from "./desired-state.ts";

/** The part of the desired state that `Refused` reads. */
export type ConflictSource = Pick<DesiredState, "lost" | "losers" | "conflictsOf" | "takeLostAnew">;

/** A problem, and the text that identifies it. */
interface Listed {
  readonly text: string;
  readonly problem: Problem;
}

/**
 * The valid requests of Services that this node does not fulfil. The begin and the end of each problem are reported
 * once. Only Services whose problems may have changed are examined, so that the other Services (up to 50,000) cost
 * nothing.
 */
export class Refused {
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
    if (problems.length > 0) this.#byNode.set(service, shortened(problems));
    else this.#byNode.delete(service);
    this.#changed.add(service);
  }

  /**
   * Yields the changes, one element for each Service whose problems may have changed. A Service is handled when it is
   * yielded.
   */
  *takeChanges(): Generator<ProblemChanges<Problem>> {
    for (const name of this.#desired.takeLostAnew()) this.#changed.add(name);
    for (const name of this.#changed) {
      this.#changed.delete(name);
      yield this.#listAnew(name);
    }
  }

  /** All problems of all Services, in no particular order. */
  all(): readonly Problem[] {
    const names = new Set([...this.#byNode.keys(), ...this.#desired.losers()]);
    return [...names].flatMap((name) => this.#list(name).map(({ problem }) => problem));
  }

  #listAnew(name: ServiceName): ProblemChanges<Problem> {
    const before = this.#listed.get(name) ?? NOTHING;
    const now = new Map(this.#list(name).map(({ text, problem }) => [text, problem]));
    this.#size += now.size - before.size;
    if (now.size === 0) this.#listed.delete(name);
    else this.#listed.set(name, now);
    return { begun: missingIn(before, now), ended: missingIn(now, before) };
  }

  #list(name: ServiceName): readonly Listed[] {
    const listed: Listed[] = [];
    for (const problem of this.#byNode.get(name) ?? []) listed.push({ text: JSON.stringify(problem), problem });
    const lost = this.#desired.lost(name);
    const conflicts = this.#desired.conflictsOf(name);
    for (let left = Math.min(lost, LISTED_PROBLEMS); left > 0; left--) {
      const { value: conflict } = conflicts.next();
      // Only the key identifies a conflict: when 10,000 Services claim one key, a new owner must not be a change for
      // all of them.
      if (conflict !== undefined) listed.push({ text: `conflict ${conflict.key}`, problem: conflictProblem(conflict) });
    }
    if (lost > LISTED_PROBLEMS)
      listed.push({ text: "conflicts", problem: moreConflicts(name, lost - LISTED_PROBLEMS) });
    return listed;
  }
}

const NOTHING: ReadonlyMap<string, Problem> = new Map();

/** The problems in `all` that are not in `some`. */
function missingIn(some: ReadonlyMap<string, Problem>, all: ReadonlyMap<string, Problem>): readonly Problem[] {
  return [...all].filter(([text]) => !some.has(text)).map(([, problem]) => problem);
}

function shortened(problems: readonly Problem[]): readonly Problem[] {
  const [first] = problems;
  if (first === undefined || problems.length <= LISTED_PROBLEMS) return problems;
  const more = {
    ...first,
    field: "",
    value: `${problems.length - LISTED_PROBLEMS} more`,
    reason: "problems of this Service are not listed",
  };
  return [...problems.slice(0, LISTED_PROBLEMS), more];
}

function moreConflicts(name: ServiceName, count: number): Problem {
  const reason = "virtual servers are already served by other Services";
  return { object: problemObject("Service", name), field: "", value: `${count} more`, reason };
}
