import { parseArgs } from "node:util";
import { KERNELS } from "../../test/support/run/kernels.ts";
import { parseSize, SIZE_FORM, type Size } from "../report/size.ts";

export const SCENARIOS = [
  "sync",
  "cold",
  "idle",
  "change",
  "service",
  "rolling",
  "churn",
  "drain",
  "restart",
  "takeover",
  "keepalived",
  "memory",
] as const;
export type Scenario = (typeof SCENARIOS)[number];

/** Benchmarks of one part, with a program and results of their own. */
export const PARTS = ["watch", "sentinels", "traffic", "turns"] as const;
export type Part = (typeof PARTS)[number];

export interface RunOptions {
  readonly command: "run";
  /** Undefined: the sizes of a full or a quick run. */
  readonly sizes: readonly Size[] | undefined;
  readonly scenarios: readonly Scenario[];
  /** Commands that start other proxies. */
  readonly peers: readonly string[];
  /** Name of a kernel of kernels.ts, "host", or undefined for User Mode Linux as the tests have it. */
  readonly kernel: string | undefined;
  readonly isQuick: boolean;
  /** Whether a noisy machine is accepted. */
  readonly acceptsNoise: boolean;
  readonly rounds: number;
  /** How long the scenarios idle and churn last. */
  readonly seconds: number;
  /** Most changes a second in the scenario churn. */
  readonly churnLimit: number;
  readonly folder: string | undefined;
}

export type Invocation =
  | RunOptions
  | { readonly command: "publish"; readonly folder: string; readonly acceptsNoise: boolean }
  | { readonly command: "compare"; readonly old: string; readonly fresh: string }
  | { readonly command: "part"; readonly part: Part; readonly sizes: readonly Size[] }
  | { readonly command: "help" }
  | { readonly command: "invalid"; readonly message: string };

class Invalid extends Error {}

const RUN_FLAGS = {
  sizes: { type: "string" },
  scenarios: { type: "string" },
  peer: { type: "string", multiple: true },
  kernel: { type: "string" },
  quick: { type: "boolean" },
  noisy: { type: "boolean" },
  rounds: { type: "string" },
  seconds: { type: "string" },
  "churn-limit": { type: "string" },
  out: { type: "string" },
} as const;

/** Reads the words after `npm run bench --`. What is invalid is named, with what is allowed. */
export function readArguments(argv: readonly string[]): Invocation {
  if (argv.some((word) => word === "--help" || word === "-h" || word === "help")) return { command: "help" };
  try {
    const [first = ""] = argv;
    if (first === "publish") return readPublish(argv.slice(1));
    if (first === "compare") return readCompare(argv.slice(1));
    const part = PARTS.find((name) => name === first);
    if (part !== undefined) return readPart(part, argv.slice(1));
    return readRun(first === "run" ? argv.slice(1) : argv);
  } catch (error) {
    if (error instanceof Invalid) return { command: "invalid", message: error.message };
    // parseArgs names the argument, but not what is allowed.
    if (error instanceof TypeError && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS")) {
      const flags = Object.keys(RUN_FLAGS).map((name) => `--${name}`);
      return { command: "invalid", message: `${error.message.split(". ")[0]}; the flags are ${flags.join(", ")}` };
    }
    throw error;
  }
}

function readRun(argv: readonly string[]): RunOptions {
  const { values, positionals } = parseArgs({ args: [...argv], options: RUN_FLAGS, allowPositionals: true });
  const sizes = [...positionals, ...(values.sizes === undefined ? [] : [values.sizes])];
  const isQuick = values.quick ?? false;
  const kernel = values.kernel;
  const kernels = ["host", ...KERNELS.map(({ name }) => name)];
  if (kernel !== undefined && !kernels.includes(kernel)) throw invalid("--kernel", kernel, kernels.join(", "));
  return {
    command: "run",
    sizes: sizes.length === 0 ? undefined : sizes.flatMap((text) => readSizes(text)),
    scenarios: values.scenarios === undefined ? SCENARIOS : readScenarios(values.scenarios),
    peers: (values.peer ?? []).map((command) => {
      if (command.trim() === "") throw invalid("--peer", command, "a command that starts a proxy");
      return command;
    }),
    kernel,
    isQuick,
    acceptsNoise: values.noisy ?? false,
    rounds: readNumber("--rounds", values.rounds, isQuick ? 1 : 3, 20),
    seconds: readNumber("--seconds", values.seconds, isQuick ? 10 : 60, 600),
    churnLimit: readNumber("--churn-limit", values["churn-limit"], 200, 10_000),
    folder: values.out,
  };
}

function readPublish(argv: readonly string[]): Invocation {
  const options = { noisy: { type: "boolean" } } as const;
  const { values, positionals } = parseArgs({ args: [...argv], options, allowPositionals: true });
  const [folder = "", ...more] = positionals;
  if (folder === "" || more.length > 0) throw new Invalid("publish needs one argument: the folder of a run");
  return { command: "publish", folder, acceptsNoise: values.noisy ?? false };
}

function readCompare(argv: readonly string[]): Invocation {
  const { positionals } = parseArgs({ args: [...argv], options: {}, allowPositionals: true });
  const [old = "", fresh = "", ...more] = positionals;
  if (fresh === "" || more.length > 0)
    throw new Invalid("compare needs two arguments: the folders of two runs, OLD NEW");
  return { command: "compare", old, fresh };
}

function readPart(part: Part, argv: readonly string[]): Invocation {
  const { positionals } = parseArgs({ args: [...argv], options: {}, allowPositionals: true });
  return { command: "part", part, sizes: positionals.flatMap((text) => readSizes(text)) };
}

function readSizes(text: string): readonly Size[] {
  return text.split(",").map((word) => {
    const size = parseSize(word);
    if (size === undefined) throw invalid("size", word, `${SIZE_FORM}, comma-separated; or the command ${commands()}`);
    return size;
  });
}

function readScenarios(text: string): readonly Scenario[] {
  return text.split(",").map((word) => {
    const scenario = SCENARIOS.find((name) => name === word);
    if (scenario === undefined) throw invalid("--scenarios", word, `${SCENARIOS.join(", ")}, comma-separated`);
    return scenario;
  });
}

function readNumber(flag: string, text: string | undefined, usual: number, most: number): number {
  if (text === undefined) return usual;
  const value = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (value < 1 || value > most) throw invalid(flag, text, `a number from 1 to ${most}`);
  return value;
}

function commands(): string {
  return ["run", "publish", "compare", ...PARTS].join(", ");
}

function invalid(name: string, value: string, allowed: string): Invalid {
  return new Invalid(`${name}: "${value}" is not allowed; allowed: ${allowed}`);
}
