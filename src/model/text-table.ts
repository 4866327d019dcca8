/** Texts in one table: names of nodes long gone must not stay for ever, so then another is begun. */
const LIMIT = 65_536;

/**
 * Numbers texts in the order they come, equal ones alike, so that who has many of them keeps numbers. It finds them by a hash
 * of its own: a Map would first make one text of its own out of each that it is asked for, at 1 us for each of 500,000.
 */
export class TextTable {
  readonly #texts: string[] = [];
  /** Open addressing: one more than the number of a text, 0 where none is. Never more than half full; a power of two. */
  #slots = new Uint32Array(16);

  /** The number of the text, which is given one if it has none. */
  numberOf(text: string): number {
    const slot = this.#slotOf(text);
    const known = this.#slots[slot] ?? 0;
    if (known > 0) return known - 1;
    this.#texts.push(text);
    this.#slots[slot] = this.#texts.length;
    if (this.#texts.length * 2 > this.#slots.length) this.#grow();
    return this.#texts.length - 1;
  }

  /** The number of the text, undefined when it has none. */
  find(text: string): number | undefined {
    const known = this.#slots[this.#slotOf(text)] ?? 0;
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

  /** Where the text is, or would be. */
  #slotOf(text: string): number {
    const mask = this.#slots.length - 1;
    let slot = hashOf(text) & mask;
    for (;;) {
      const known = this.#slots[slot] ?? 0;
      if (known === 0 || this.#texts[known - 1] === text) return slot;
      slot = (slot + 1) & mask;
    }
  }

  #grow(): void {
    this.#slots = new Uint32Array(this.#slots.length * 2);
    this.#texts.forEach((text, number) => {
      this.#slots[this.#slotOf(text)] = number + 1;
    });
  }
}

/** FNV-1a over UTF-16, its upper half folded in. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return hash ^ (hash >>> 15);
}
