import { fnv1a } from "./fnv.ts";

/**
 * Maximum number of texts in one table: names of deleted nodes must not stay forever, so a full table is replaced by a
 * new one.
 */
const LIMIT = 65_536;

/**
 * Number of slots that may hold a text. With the names that clusters use, one text in some thousands finds all of its
 * slots in use.
 */
const PROBES = 16;

/**
 * Gives each text a number, the same for equal texts, so that other objects keep numbers instead of texts. It has a
 * hash table of its own: a Map would first make a text of its own from each substring that it looks up, at 1 us for
 * each of 500,000.
 *
 * An author of names can make them collide: colliding names for FNV are found in seconds, and a seed would not separate
 * them. Therefore a text that finds no slot near its own is kept in a Map, which uses V8's seeded hash.
 */
export class TextTable {
  readonly #texts: string[] = [];
  /**
   * Open addressing: a slot has the number of a text plus one, or 0 if it is empty. At most half of the slots are used;
   * their number is a power of two.
   */
  #slots = new Uint32Array(16);
  /** Numbers of the texts that found no slot. */
  readonly #crowded = new Map<string, number>();

  /** Returns the number of the text; adds the text if it has none. */
  numberOf(text: string): number {
    const known = this.find(text);
    if (known !== undefined) return known;
    const number = this.#texts.push(text) - 1;
    if (this.#texts.length * 2 > this.#slots.length) this.#grow();
    else this.#put(text, number);
    return number;
  }

  /** Returns the number of the text; undefined if it has none. */
  find(text: string): number | undefined {
    const slot = this.#slotOf(text);
    if (slot === undefined) return this.#crowded.get(text);
    const known = this.#slots[slot] ?? 0;
    return known > 0 ? known - 1 : undefined;
  }

  /** Returns the text of a number that `numberOf` returned; "" for any other number. */
  at(number: number): string {
    return this.#texts[number] ?? "";
  }

  /**
   * Returns this table, or a new table if this one is full. Numbers of this table remain valid only with this table.
   */
  orNext(): TextTable {
    return this.#texts.length < LIMIT ? this : new TextTable();
  }

  /**
   * Returns the slot that has the text, or the slot for it; undefined if other texts use all slots that may hold it.
   */
  #slotOf(text: string): number | undefined {
    const mask = this.#slots.length - 1;
    const home = hashOf(text);
    for (let probe = 0; probe < PROBES; probe++) {
      const slot = (home + probe) & mask;
      const known = this.#slots[slot] ?? 0;
      if (known === 0 || this.#texts[known - 1] === text) return slot;
    }
    return undefined;
  }

  #put(text: string, number: number): void {
    const slot = this.#slotOf(text);
    if (slot === undefined) this.#crowded.set(text, number);
    else this.#slots[slot] = number + 1;
  }

  #grow(): void {
    this.#slots = new Uint32Array(this.#slots.length * 2);
    this.#crowded.clear();
    this.#texts.forEach((text, number) => {
      this.#put(text, number);
    });
  }
}

/** Returns the place of a text, with the upper half of the hash folded in. */
function hashOf(text: string): number {
  const hash = fnv1a(text);
  return hash ^ (hash >>> 15);
}
