import type { Call } from "./recorder.ts";

/** A file on the way of a change. */
export interface Visit {
  /** Path below src/. */
  readonly file: string;
  /** The functions that ran, in the order of their first call. */
  readonly functions: readonly string[];
  /** The file that called the first of them; undefined for the event loop. */
  readonly from: string | undefined;
  /** Whether the file called functions of other files that are not words. */
  readonly calls: boolean;
}

/** The way of a change through the files of src/, in the order in which control entered them first. */
export interface Way {
  /** Up to the acknowledgement of the kernel. */
  readonly before: readonly Visit[];
  readonly after: readonly Visit[];
  /** Calls of functions of agent.ts, by the file that made them. */
  readonly returns: ReadonlyMap<string, readonly Call[]>;
}

/** Whether the file defines words: values, how they are parsed and compared, and the time. */
export function isWord(file: string): boolean {
  return file.startsWith("model/") || file.startsWith("process/");
}

/** Returns the way of these calls. The acknowledgement ends with the last call by the event loop of kernel/netlink/. */
export function wayOf(calls: readonly Call[]): Way {
  const end = calls.findLastIndex(({ file, caller }) => file.startsWith("kernel/netlink/") && caller === undefined);
  const returns = calls.filter(({ file, caller }) => file === "agent.ts" && caller !== file);
  return {
    before: visitsOf(calls.slice(0, end + 1)),
    after: visitsOf(calls.slice(end + 1)),
    returns: Map.groupBy(returns, ({ caller = "the event loop" }) => caller),
  };
}

function visitsOf(calls: readonly Call[]): readonly Visit[] {
  return [...Map.groupBy(calls, ({ file }) => file)].map(([file, own]) => ({
    file,
    functions: [...new Set(own.map(({ name }) => plainName(name)))].filter((name) => name !== ""),
    from: own[0]?.caller,
    calls: calls.some((call) => call.caller === file && call.file !== file && !isWord(call.file)),
  }));
}

/** The name in the source; "" for a name that V8 made up. */
function plainName(name: string): string {
  return /[<.]/.test(name) ? "" : name.replace(/^[gs]et /, "");
}
