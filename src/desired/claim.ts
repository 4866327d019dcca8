import { type Problem, problemObject } from "../model/cluster/problem.ts";
import type { ServiceName } from "../model/cluster/service.ts";
import type { VirtualServerKey } from "../model/kernel/ipvs.ts";
import type { Frontend } from "./service/frontends.ts";

/** The precedence of a Service's claim to a frontend. The lowest number takes precedence. */
export type Precedence = 0 | 1 | 2 | 3;

/**
 * The precedence by frontend type. The API server allocates each cluster IP and node port to only one Service, and a
 * controller writes the address of a load balancer. Every author of a Service can write an external IP, and must not
 * take the traffic of another Service with it.
 */
export const PRECEDENCE: Readonly<Record<Frontend["kind"], Precedence>> = {
  "cluster-ip": 0,
  "node-port": 1,
  "load-balancer": 2,
  "external-ip": 3,
};

/** A Service that claims a virtual server, and its precedence. */
export interface Claim {
  readonly service: ServiceName;
  readonly precedence: Precedence;
}

/** Sorts by precedence, then by name, and therefore independently of the order of events. */
export function compareClaims(a: Claim, b: Claim): number {
  if (a.precedence !== b.precedence) return a.precedence - b.precedence;
  if (a.service === b.service) return 0;
  return a.service < b.service ? -1 : 1;
}

/**
 * The claims to one virtual server, sorted by precedence. There are usually few, but 10,000 Services may have the same
 * external IP and port. A binary search finds a claim in about 14 comparisons, and V8 moves the claims after it in one
 * piece.
 */
export class Claimants<OneClaim extends Claim> {
  readonly #claims: OneClaim[];

  constructor(first: OneClaim | undefined) {
    this.#claims = first === undefined ? [] : [first];
  }

  get size(): number {
    return this.#claims.length;
  }

  /** The claim with the highest precedence; undefined if there is no claim. */
  get best(): OneClaim | undefined {
    return this.#claims[0];
  }

  [Symbol.iterator](): Iterator<OneClaim> {
    return this.#claims[Symbol.iterator]();
  }

  /** Adds the claim of a Service that has no claim in this list. */
  add(claim: OneClaim): void {
    this.#claims.splice(this.#placeOf(claim), 0, claim);
  }

  /** Removes a claim that is in this list. */
  delete(claim: Claim): void {
    this.#claims.splice(this.#placeOf(claim), 1);
  }

  /** The index of the claim, or the index at which it would be inserted. */
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

/**
 * A virtual server that one Service claims and another Service owns. The owner has the higher precedence, or with equal
 * precedence the first name.
 */
export interface Conflict {
  readonly key: VirtualServerKey;
  readonly owner: ServiceName;
  readonly shadowed: ServiceName;
}

/** The problem of a Service that claims a virtual server of another Service. */
export function conflictProblem({ key, owner: holder, shadowed: loser }: Conflict): Problem {
  const reason = `is already served by Service ${holder} (precedence: frontend type, then name)`;
  return { object: problemObject("Service", loser), field: "", value: key, reason };
}
