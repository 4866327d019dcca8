/** A string or template literal of a TypeScript source. */
export interface SourceLiteral {
  /** The text, with "…" for each substitution. */
  readonly text: string;
  /** The calls that have the literal in their arguments, the innermost one first, for example "logger.warn". */
  readonly calls: readonly string[];
}

/** Returns all string and template literals of a source in their order. The source must be valid TypeScript without JSX. */
export function literalsOf(source: string): readonly SourceLiteral[] {
  const scanner = new Scanner(source);
  scanner.scan();
  return scanner.literals;
}

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t" };
/** The code before a slash after which the slash begins a regular expression. Elsewhere it is a division. */
const BEFORE_REGEXP = /(?:^|[(,=:[!&|?{};>+]|\breturn|\bcase)\s*$/;
/** The function of a call, at the end of the code before its bracket. */
const CALLEE = /([\w$.#?]+)(?:<[^<>()]*>)?\s*$/;
const LONGEST_CALLEE = 100;

class Scanner {
  readonly literals: SourceLiteral[] = [];
  readonly #source: string;
  #at = 0;
  /** The brackets that are open: the function of a call, "" for others. */
  readonly #open: string[] = [];

  constructor(source: string) {
    this.#source = source;
  }

  /** Reads to the end of the source, or past the bracket that closes a substitution. */
  scan(): void {
    const depth = this.#open.length;
    while (this.#at < this.#source.length) {
      const next = this.#source[this.#at] ?? "";
      if (next === "/") this.#skipSlash();
      else if (next === '"' || next === "'") this.#readString(next);
      else if (next === "`") this.#readTemplate();
      else if (this.#step(next) < depth) return;
    }
  }

  /** Passes a character. Returns the number of open brackets. */
  #step(next: string): number {
    if (next === "(") this.#open.push(CALLEE.exec(this.#before())?.[1] ?? "");
    else if (next === "[" || next === "{") this.#open.push("");
    else if (next === ")" || next === "]" || next === "}") this.#open.pop();
    this.#at++;
    return this.#open.length;
  }

  #before(): string {
    return this.#source.slice(Math.max(0, this.#at - LONGEST_CALLEE), this.#at);
  }

  #skipSlash(): void {
    const two = this.#source.slice(this.#at, this.#at + 2);
    if (two === "//") this.#at = this.#endOf("\n", this.#at);
    else if (two === "/*") this.#at = this.#endOf("*/", this.#at + 2);
    else if (BEFORE_REGEXP.test(this.#before())) this.#skipRegExp();
    else this.#at++;
  }

  #endOf(text: string, from: number): number {
    const index = this.#source.indexOf(text, from);
    return index < 0 ? this.#source.length : index + text.length;
  }

  #skipRegExp(): void {
    let isClass = false;
    for (this.#at++; this.#at < this.#source.length; this.#at++) {
      const next = this.#source[this.#at];
      if (next === "\\") this.#at++;
      else if (next === "[") isClass = true;
      else if (next === "]") isClass = false;
      else if (next === "/" && !isClass) break;
    }
    this.#at++;
  }

  #readString(quote: string): void {
    let text = "";
    for (this.#at++; this.#source[this.#at] !== quote; ) text += this.#readCharacter();
    this.#at++;
    this.#add(text);
  }

  #readTemplate(): void {
    let text = "";
    for (this.#at++; this.#source[this.#at] !== "`"; ) {
      if (this.#source.startsWith("${", this.#at)) {
        this.#at += 2;
        this.#open.push("");
        this.scan();
        text += "…";
      } else text += this.#readCharacter();
    }
    this.#at++;
    this.#add(text);
  }

  #readCharacter(): string {
    const next = this.#source[this.#at++];
    if (next === undefined) throw new Error("A literal has no end");
    if (next !== "\\") return next;
    const escaped = this.#source[this.#at++] ?? "";
    return ESCAPES[escaped] ?? escaped;
  }

  #add(text: string): void {
    this.literals.push({ text, calls: this.#open.filter((call) => call !== "").toReversed() });
  }
}
