/** Texts in one table: names of nodes long gone must not stay for ever, so then another is begun. */
const LIMIT = 65_536;

/** Slots at which a text is looked for. Of names as clusters have them, one in some thousands finds all of its own taken. */
const PROBES = 16;

/**
 * Numbers texts in the order they come, equal ones alike, so that who has many of them keeps numbers. It finds them by a hash
 * of its own: a Map would first make one text of its own out of each that it is asked for, at 1 us for each of 500,000.
 *
 * Whoever writes the texts can make them collide: with FNV, names that collide are found in seconds, and a seed would not part
 * them. So what finds no slot near its own is kept in a Map, whose hash is V8's own and has a seed.
 */
export class TextTable {
  readonly #texts: string[] = [];
  /** Open addressing: one more than the number of a text, 0 where none is. Never more than half full; a power of two. */
  #slots = new Uint32Array(16);
  /** Numbers of the texts that found no slot. */
  readonly #crowded = new Map<string, number>();

  /** The number of the text, which is given one if it has none. */
  numberOf(text: string): number {
    const known = this.find(text);
    if (known !== undefined) return known;
    const number = this.#texts.push(text) - 1;
    if (this.#texts.length * 2 > this.#slots.length) this.#grow();
    else this.#put(text, number);
    return number;
  }

  /** The number of the text, undefined when it has none. */
  find(text: string): number | undefined {
    const slot = this.#slotOf(text);
    if (slot === undefined) return this.#crowded.get(text);
    const known = this.#slots[slot] ?? 0;
    return known > 0 ? known - 1 : undefined;
  }

  /** The text of a number that `numberOf` gave; "" of any other. */
  at(number: number): string {
    return this.#texts[number] ?? "";
  }

  /** This table, or a new one in its place when it is full. Numbers that it gave remain good with it. */
  orNext(): TextTable {
    return this.#texts.length < LIMIT ? this : new TextTable();
  }

  /** The slot where the text is, or would be; undefined when others have all in which it may be. */
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

/** FNV-1a over UTF-16, its upper half folded in. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return hash ^ (hash >>> 15);
}
