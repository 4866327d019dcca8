/** The preparations for which a proxy counts as present after its last trace: ten minutes by default. */
const REMEMBERED = 20;

/**
 * Remembers which other service proxies work on this node. Most of their traces are seen only right after they have written
 * something.
 */
export class OtherProxies {
  readonly #left = new Map<string, number>();

  /** Records the proxies whose traces a preparation has found. */
  observe(found: readonly string[]): void {
    for (const [name, left] of this.#left) {
      if (left <= 1) this.#left.delete(name);
      else this.#left.set(name, left - 1);
    }
    for (const name of found) this.#left.set(name, REMEMBERED);
  }

  /** Those that work here now, as text for an operator. */
  describe(): readonly string[] {
    return [...this.#left.keys()].map(
      (name) =>
        `${name} works on this node besides kube-ipvs, and both write the same objects: stop one of them here. Until then kube-ipvs repairs what the other changes less and less often`,
    );
  }
}
