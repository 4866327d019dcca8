import type { Profiler } from "node:inspector";

/** A function of src/. */
export interface SourceFunction {
  readonly id: string;
  readonly scriptId: string;
  /** Path below src/. */
  readonly file: string;
  /** As V8 names it; "" for a function without a name. */
  readonly name: string;
  readonly startOffset: number;
  readonly endOffset: number;
}

/** The functions of the scripts in `files`, as reports of V8's coverage name them. */
export class Functions {
  /** Paths below src/, by the id of the script. */
  readonly files = new Map<string, string>();
  readonly #known = new Map<string, SourceFunction>();

  /** Returns the functions that ran by a report. */
  counted(report: readonly Profiler.ScriptCoverage[]): readonly SourceFunction[] {
    return report.flatMap(({ scriptId, functions }) => {
      const file = this.files.get(scriptId);
      if (file === undefined) return [];
      return functions.flatMap(({ functionName, ranges }) => {
        const [range] = ranges;
        if (range === undefined) return [];
        const { startOffset, endOffset, count } = range;
        const id = `${file}:${startOffset}-${endOffset}`;
        const known = this.#known.get(id) ?? { id, scriptId, file, name: functionName, startOffset, endOffset };
        this.#known.set(id, known);
        return count > 0 ? [known] : [];
      });
    });
  }

  /** The name of the function, or of the named function around it; "" at the top of a file. */
  nameOf(called: SourceFunction): string {
    const around = [...this.#known.values()].filter(
      ({ file, name, startOffset, endOffset }) =>
        file === called.file && name !== "" && startOffset <= called.startOffset && endOffset >= called.endOffset,
    );
    const length = (one: SourceFunction) => one.endOffset - one.startOffset;
    return around.toSorted((one, other) => length(one) - length(other))[0]?.name ?? "";
  }
}

/** Length of a function up to the end of its parameters; 0 when they are not in parentheses. Default values are no code of the body. */
export function parametersLength(source: string): number {
  const begin = /^[\w\s#$*]*\(/.exec(source)?.[0].length ?? 0;
  if (begin === 0) return 0;
  let at = begin;
  for (let depth = 1; depth > 0 && at < source.length; at++) {
    if (source[at] === "(") depth++;
    else if (source[at] === ")") depth--;
  }
  return at;
}
