import { type Claim, compareClaims } from "./claim.ts";

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
