import { type Problem, problemObject } from "../model/cluster/problem.ts";
import { LISTED_PROBLEMS } from "../model/cluster/problem-list.ts";
import type { ServiceName } from "../model/cluster/service.ts";
import type { ProblemChanges } from "../model/problem-tracker.ts";
import { conflictProblem } from "./claim.ts";
import type { DesiredState } from "./desired-state.ts";

/** What `Refused` reads of the desired state. */
export type ConflictSource = Pick<DesiredState, "lost" | "losers" | "conflictsOf" | "takeLostAnew">;

/** A problem, and the text by which it is known again. */
interface Listed {
  readonly text: string;
  readonly problem: Problem;
}

/**
 * What Services want of this node, well said, and do not get. Each problem begins and ends once. Only Services of
 * which something may have changed are looked at, so that what 50,000 others do not get costs nothing.
 */
export class Refused {
  readonly #desired: ConflictSource;
  /** What the node itself refuses, of the few Services that want it. */
  readonly #byNode = new Map<ServiceName, readonly Problem[]>();
  /** What was listed last, by its texts. */
  readonly #listed = new Map<ServiceName, ReadonlyMap<string, Problem>>();
  readonly #changed = new Set<ServiceName>();
  #size = 0;

  constructor(desired: ConflictSource) {
    this.#desired = desired;
  }

  /** How many problems are listed, as far as `takeChanges` has come. */
  get size(): number {
    return this.#size;
  }

  /** Takes in all that the node itself refuses a Service now. */
  replace(service: ServiceName, problems: readonly Problem[]): void {
    if (problems.length === 0 && !this.#byNode.has(service)) return;
    if (problems.length > 0) this.#byNode.set(service, shortened(problems));
    else this.#byNode.delete(service);
    this.#changed.add(service);
  }

  /** What has changed, an element for each Service of which something may have, as far as it is iterated. */
  *takeChanges(): Generator<ProblemChanges<Problem>> {
    for (const name of this.#desired.takeLostAnew()) this.#changed.add(name);
    for (const name of this.#changed) {
      this.#changed.delete(name);
      yield this.#listAnew(name);
    }
  }

  /** All problems of all Services, in no order. */
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
      // Known by its key alone: when 10,000 Services want one key, each change of its holder would be news for all of them.
      if (conflict !== undefined) listed.push({ text: `conflict ${conflict.key}`, problem: conflictProblem(conflict) });
    }
    if (lost > LISTED_PROBLEMS)
      listed.push({ text: "conflicts", problem: moreConflicts(name, lost - LISTED_PROBLEMS) });
    return listed;
  }
}

const NOTHING: ReadonlyMap<string, Problem> = new Map();

/** What is in `all` and not in `some`. */
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
    reason: "are refused as well",
  };
  return [...problems.slice(0, LISTED_PROBLEMS), more];
}

function moreConflicts(name: ServiceName, count: number): Problem {
  const reason = "virtual servers are held by other Services";
  return { object: problemObject("Service", name), field: "", value: `${count} more`, reason };
}
