/**
 * A map of values with reference counts. The count is usually 1, so only higher counts are stored: at 50,000 Services a
 * number for each of 100,000 entries would waste memory.
 */
export class RefCountedMap<Key, Value> {
  readonly #values = new Map<Key, Value>();
  readonly #further = new Map<Key, number>();
  readonly #keyOf: (value: Value) => Key;

  constructor(keyOf: (value: Value) => Key) {
    this.#keyOf = keyOf;
  }

  get size(): number {
    return this.#values.size;
  }

  get(key: Key): Value | undefined {
    return this.#values.get(key);
  }

  values(): Iterable<Value> {
    return this.#values.values();
  }

  /**
   * Replaces the references `before` by `after`; each list may contain a value several times. Returns the keys that
   * were added or removed.
   */
  replace(before: readonly Value[], after: readonly Value[]): readonly Key[] {
    if (this.#areAlike(before, after)) return [];
    const changed: Key[] = [];
    // New references are added first: a value in both lists must not be removed in between.
    for (const value of after) {
      const key = this.#keyOf(value);
      if (this.#add(key, value)) changed.push(key);
    }
    for (const value of before) {
      const key = this.#keyOf(value);
      if (this.#drop(key)) changed.push(key);
    }
    return changed;
  }

  /** Whether both lists have the same keys in the same order, which is the usual case. */
  #areAlike(before: readonly Value[], after: readonly Value[]): boolean {
    if (before.length !== after.length) return false;
    return before.every((value, index) => {
      const other = after[index];
      return other !== undefined && this.#keyOf(value) === this.#keyOf(other);
    });
  }

  #add(key: Key, value: Value): boolean {
    // The value is set without a lookup: V8 internalizes a string that is looked up in a Map, which costs more than all
    // the rest.
    const { size } = this.#values;
    this.#values.set(key, value);
    if (this.#values.size > size) return true;
    this.#further.set(key, (this.#further.get(key) ?? 0) + 1);
    return false;
  }

  #drop(key: Key): boolean {
    const further = this.#further.get(key);
    if (further === undefined) return this.#values.delete(key);
    if (further === 1) this.#further.delete(key);
    else this.#further.set(key, further - 1);
    return false;
  }
}
