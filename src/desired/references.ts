/**
 * Values with a count of those who refer to them. The usual count is one, so only the counts above it are kept: at
 * 50,000 Services a number for each of 100,000 entries would be memory for nothing.
 */
export class References<Key, Value> {
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
   * Puts the references `after` in place of `before`; a value may be named several times in either. Returns the keys that
   * came into being or ceased to be.
   */
  replace(before: readonly Value[], after: readonly Value[]): readonly Key[] {
    if (this.#areAlike(before, after)) return [];
    const changed: Key[] = [];
    // First of all those that come: what is in both must not cease to be meanwhile.
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

  /** The same keys in the same order, as mostly they are. */
  #areAlike(before: readonly Value[], after: readonly Value[]): boolean {
    if (before.length !== after.length) return false;
    return before.every((value, index) => {
      const other = after[index];
      return other !== undefined && this.#keyOf(value) === this.#keyOf(other);
    });
  }

  #add(key: Key, value: Value): boolean {
    // Put in unasked: V8 internalizes a text that a Map is asked for, which costs more than all the rest.
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
