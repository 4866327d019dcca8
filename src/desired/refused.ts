import { problemObject, type Rejection } from "../model/cluster/problem.ts";
import { LISTED_REJECTIONS } from "../model/cluster/rejection-list.ts";
import type { ServiceName } from "../model/cluster/service.ts";
import { conflictRejection } from "./claim.ts";
import type { DesiredState } from "./desired-state.ts";

/** What `Refused` reads of the desired state. */
export type ConflictSource = Pick<DesiredState, "lost" | "losers" | "conflictsOf" | "takeLostAnew">;

/** A problem, and the text by which it is known again. */
interface Listed {
  readonly text: string;
  readonly rejection: Rejection;
}

/** What began and what ended of the problems of one Service. */
export interface RejectionChanges {
  readonly begun: readonly Rejection[];
  readonly ended: readonly Rejection[];
}

/**
 * What Services want of this node, well said, and do not get. Each problem begins and ends once. Only Services of
 * which something may have changed are looked at, so that what 50,000 others do not get costs nothing.
 */
export class Refused {
  readonly #desired: ConflictSource;
  /** What the node itself refuses, of the few Services that want it. */
  readonly #byNode = new Map<ServiceName, readonly Rejection[]>();
  /** What was listed last, by its texts. */
  readonly #listed = new Map<ServiceName, ReadonlyMap<string, Rejection>>();
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
  replace(service: ServiceName, rejections: readonly Rejection[]): void {
    if (rejections.length === 0 && !this.#byNode.has(service)) return;
    if (rejections.length > 0) this.#byNode.set(service, shortened(rejections));
    else this.#byNode.delete(service);
    this.#changed.add(service);
  }

  /** What has changed, an element for each Service of which something may have, as far as it is iterated. */
  *takeChanges(): Generator<RejectionChanges> {
    for (const name of this.#desired.takeLostAnew()) this.#changed.add(name);
    for (const name of this.#changed) {
      this.#changed.delete(name);
      yield this.#listAnew(name);
    }
  }

  /** All problems of all Services, in no order. */
  all(): readonly Rejection[] {
    const names = new Set([...this.#byNode.keys(), ...this.#desired.losers()]);
    return [...names].flatMap((name) => this.#list(name).map(({ rejection }) => rejection));
  }

  #listAnew(name: ServiceName): RejectionChanges {
    const before = this.#listed.get(name) ?? NOTHING;
    const now = new Map(this.#list(name).map(({ text, rejection }) => [text, rejection]));
    this.#size += now.size - before.size;
    if (now.size === 0) this.#listed.delete(name);
    else this.#listed.set(name, now);
    return { begun: missingIn(before, now), ended: missingIn(now, before) };
  }

  #list(name: ServiceName): readonly Listed[] {
    const listed: Listed[] = [];
    for (const rejection of this.#byNode.get(name) ?? []) listed.push({ text: JSON.stringify(rejection), rejection });
    const lost = this.#desired.lost(name);
    const conflicts = this.#desired.conflictsOf(name);
    for (let left = Math.min(lost, LISTED_REJECTIONS); left > 0; left--) {
      const { value: conflict } = conflicts.next();
      // Known by its key alone: when 10,000 Services want one key, each change of its holder would be news for all of them.
      if (conflict !== undefined)
        listed.push({ text: `conflict ${conflict.key}`, rejection: conflictRejection(conflict) });
    }
    if (lost > LISTED_REJECTIONS)
      listed.push({ text: "conflicts", rejection: moreConflicts(name, lost - LISTED_REJECTIONS) });
    return listed;
  }
}

const NOTHING: ReadonlyMap<string, Rejection> = new Map();

/** What is in `all` and not in `some`. */
function missingIn(some: ReadonlyMap<string, Rejection>, all: ReadonlyMap<string, Rejection>): readonly Rejection[] {
  return [...all].filter(([text]) => !some.has(text)).map(([, rejection]) => rejection);
}

function shortened(rejections: readonly Rejection[]): readonly Rejection[] {
  const [first] = rejections;
  if (first === undefined || rejections.length <= LISTED_REJECTIONS) return rejections;
  const more = {
    ...first,
    field: "",
    value: `${rejections.length - LISTED_REJECTIONS} more`,
    reason: "are refused as well",
  };
  return [...rejections.slice(0, LISTED_REJECTIONS), more];
}

function moreConflicts(name: ServiceName, count: number): Rejection {
  const reason = "virtual servers are held by other Services";
  return { object: problemObject("Service", name), field: "", value: `${count} more`, reason };
}
