/** What a Service refers to: a map, or a set, whose entries are pairs of equals. */
interface Referred<Key, Value> {
  has(key: Key): boolean;
  keys(): Iterable<Key>;
  entries(): Iterable<readonly [Key, Value]>;
}

/**
 * Values with a count of those who refer to them. The usual count is one, so only the counts above it are kept: at
 * 50,000 Services a number for each of 100,000 entries would be memory for nothing.
 */
export class References<Key, Value> {
  readonly #values = new Map<Key, Value>();
  readonly #further = new Map<Key, number>();

  get size(): number {
    return this.#values.size;
  }

  get(key: Key): Value | undefined {
    return this.#values.get(key);
  }

  values(): Iterable<Value> {
    return this.#values.values();
  }

  /** Puts the references `after` in place of `before`. Returns the keys that came into being or ceased to be. */
  replace(before: Referred<Key, Value>, after: Referred<Key, Value>): ReadonlySet<Key> {
    const changed = new Set<Key>();
    for (const [key, value] of after.entries()) {
      if (!before.has(key) && this.#add(key, value)) changed.add(key);
    }
    for (const key of before.keys()) {
      if (!after.has(key) && this.#drop(key)) changed.add(key);
    }
    return changed;
  }

  #add(key: Key, value: Value): boolean {
    if (this.#values.has(key)) {
      this.#further.set(key, (this.#further.get(key) ?? 0) + 1);
      return false;
    }
    this.#values.set(key, value);
    return true;
  }

  #drop(key: Key): boolean {
    const further = this.#further.get(key);
    if (further === undefined) return this.#values.delete(key);
    if (further === 1) this.#further.delete(key);
    else this.#further.set(key, further - 1);
    return false;
  }
}
