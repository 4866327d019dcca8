/** Above this many strings the pool starts anew: names of nodes long gone must not stay for ever. */
const LIMIT = 65_536;

/**
 * Gives equal strings as one string. JSON text makes a new string of every occurrence; the node names of 500,000
 * endpoints alone would be 20 MB.
 */
export class StringPool {
  readonly #strings = new Map<string, string>();

  /** The first string equal to `text` that was asked for. */
  share<Text extends string>(text: Text): Text {
    const known = this.#strings.get(text);
    // An equal string is the same brand: the pool maps a text to itself.
    if (known !== undefined) return known as Text;
    if (this.#strings.size >= LIMIT) this.#strings.clear();
    this.#strings.set(text, text);
    return text;
  }
}
