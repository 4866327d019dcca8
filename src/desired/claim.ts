import { type Problem, problemObject } from "../model/cluster/problem.ts";
import type { ServiceName } from "../model/cluster/service.ts";
import type { VirtualServerKey } from "../model/kernel/ipvs.ts";
import type { Frontend } from "./service/frontends.ts";

/** How good a Service's title to a frontend is; the lower counts. */
export type Title = 0 | 1 | 2 | 3;

/**
 * The API server gives a cluster IP and a node port to one Service alone; a load balancer's address is written by its
 * controller; an external IP by whoever may write a Service, who must not take another one's traffic by it.
 */
export const TITLES: Readonly<Record<Frontend["kind"], Title>> = {
  "cluster-ip": 0,
  "node-port": 1,
  "load-balancer": 2,
  "external-ip": 3,
};

/** A Service that wants a virtual server, and by what right. */
export interface Claim {
  readonly service: ServiceName;
  readonly title: Title;
}

/** Sorts by title, then by name: so the order of events does not matter. */
export function compareClaims(a: Claim, b: Claim): number {
  if (a.title !== b.title) return a.title - b.title;
  if (a.service === b.service) return 0;
  return a.service < b.service ? -1 : 1;
}

/**
 * The claims to one virtual server, of which the best comes first: few as a rule, but nothing keeps 10,000 Services from
 * wanting the same external IP and port. A claim is found by some 14 comparisons, and V8 moves those behind it in one piece.
 */
export class Claimants<OneClaim extends Claim> {
  readonly #claims: OneClaim[];

  constructor(first: OneClaim | undefined) {
    this.#claims = first === undefined ? [] : [first];
  }

  get size(): number {
    return this.#claims.length;
  }

  /** The claim that counts; undefined without any. */
  get best(): OneClaim | undefined {
    return this.#claims[0];
  }

  [Symbol.iterator](): Iterator<OneClaim> {
    return this.#claims[Symbol.iterator]();
  }

  /** Adds the claim of a Service that has none here. */
  add(claim: OneClaim): void {
    this.#claims.splice(this.#placeOf(claim), 0, claim);
  }

  /** Takes the claim out, which is here. */
  delete(claim: Claim): void {
    this.#claims.splice(this.#placeOf(claim), 1);
  }

  /** Where the claim is, or would be. */
  #placeOf(claim: Claim): number {
    let [from, to] = [0, this.#claims.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      const other = this.#claims[middle];
      if (other !== undefined && compareClaims(other, claim) < 0) from = middle + 1;
      else to = middle;
    }
    return from;
  }
}

/** A virtual server that a Service wants and another one holds. The best title has it, of equal ones the first by name. */
export interface Conflict {
  readonly key: VirtualServerKey;
  readonly holder: ServiceName;
  readonly loser: ServiceName;
}

/** The problem of a Service that wants a virtual server which another one holds. */
export function conflictProblem({ key, holder, loser }: Conflict): Problem {
  const reason = `is held by Service ${holder}, whose title is better or whose name comes first`;
  return { object: problemObject("Service", loser), field: "", value: key, reason };
}
