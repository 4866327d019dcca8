import { parseArgs } from "node:util";
import { type Config, type Given, readConfig } from "./config.ts";
import { type Command, SETTINGS } from "./settings.ts";

/** The result of reading the command line. */
export type Invocation =
  | { readonly kind: "command"; readonly command: Command; readonly config: Config }
  | { readonly kind: "help"; readonly text: string }
  | { readonly kind: "version" }
  /** The arguments are invalid. The caller prints the problems to stderr and exits with 64 (EX_USAGE of sysexits.h). */
  | { readonly kind: "refused"; readonly problems: readonly string[] };

interface Environment {
  readonly NODE_NAME?: string | undefined;
  readonly KUBERNETES_SERVICE_HOST?: string | undefined;
}

type Key = keyof Config;

const COMMANDS: Readonly<Record<Command, string>> = {
  run: "Program the kernel until a signal stops the process (the default command)",
  init: "Load kernel modules and set sysctls, then exit. An unprivileged agent cannot do this itself",
  plan: "Print the kernel objects that this node should hold. Changes nothing and needs no privilege",
  diff: "Compare the plan with the kernel of this node. Changes nothing. Exit code 0: equal, 2: different",
  cleanup: "Remove the objects of kube-ipvs from the kernel of this node, and no others",
};
const COMMAND_NAMES: readonly string[] = Object.keys(COMMANDS);

// The type of SETTINGS demands exactly the keys of Config.
const KEYS = Object.keys(SETTINGS) as Key[];
const KEY_OF_FLAG: ReadonlyMap<string, Key> = new Map(
  KEYS.flatMap((key) => [SETTINGS[key].flag, ...(SETTINGS[key].aliases ?? [])].map((flag) => [flag, key])),
);

/**
 * Reads arguments as pflag does: `--flag value`, `--flag=value`, `--flag` for true, `-o value`, `-ovalue`, `_` for `-`.
 * The values of a list are separated by commas, and a list flag may be repeated. For other flags, the last value counts.
 * Every command accepts the flags of `run`, so that `diff` and `cleanup` can be run with the arguments of the DaemonSet.
 *
 * `env` gives NODE_NAME (from the downward API) and KUBERNETES_SERVICE_HOST (set in a pod). `hostname` is the node name
 * if no flag and no variable gives one.
 */
export function readCommandLine(argv: readonly string[], env: Environment, hostname: string): Invocation {
  const line = readArguments(argv);
  if (line.requested.has("help")) return { kind: "help", text: helpText(line.command) };
  if (line.requested.has("version")) return { kind: "version" };

  const command = line.command ?? "run";
  const isNamed = line.given.nodeName !== undefined || SETTINGS.nodeName.commands.includes(command);
  const nodeName = isNamed ? nodeNameSource(line.given.nodeName, env, hostname) : ANY_NODE;
  const given = { ...line.given, nodeName };
  const { config, problems } = readConfig(given);
  const isPod = env.KUBERNETES_SERVICE_HOST !== undefined;
  const all = [
    ...line.problems,
    ...commandProblems(command, line.given),
    ...sourceProblems(command, config, isPod),
    ...problems,
  ];
  if (all.length > 0) return { kind: "refused", problems: all };
  return { kind: "command", command, config };
}

interface Line {
  command: Command | undefined;
  readonly given: Partial<Record<Key, Given>>;
  readonly requested: Set<"help" | "version">;
  readonly problems: string[];
}

function readArguments(argv: readonly string[]): Line {
  const { tokens } = parseArgs({ args: argv.map(hyphenated), options: options(), strict: false, tokens: true });
  const line: Line = { command: undefined, given: {}, requested: new Set(), problems: [] };
  for (const token of tokens) {
    if (token.kind === "positional") readPositional(line, token.value);
    else if (token.kind === "option") readFlag(line, token);
  }
  return line;
}

/** The argument with hyphens instead of underscores in the name of its flag. The value does not change. */
function hyphenated(argument: string): string {
  return argument.replace(/^--[^=]+/, (name) => name.replaceAll("_", "-"));
}

function options() {
  const named = [...KEY_OF_FLAG].map(([flag, key]) => {
    const { short, placeholder } = SETTINGS[key];
    const type = placeholder === undefined ? ("boolean" as const) : ("string" as const);
    return [flag, short === undefined ? { type } : { type, short }] as const;
  });
  return { ...Object.fromEntries(named), help: { type: "boolean", short: "h" }, version: { type: "boolean" } } as const;
}

function readPositional(line: Line, text: string): void {
  if (line.command !== undefined) line.problems.push(`Unexpected argument "${text}"`);
  else if (isCommand(text)) line.command = text;
  else line.problems.push(`Unknown command "${text}": use ${COMMAND_NAMES.join(", ")}`);
}

function isCommand(text: string): text is Command {
  return COMMAND_NAMES.includes(text);
}

interface FlagToken {
  readonly name: string;
  readonly rawName: string;
  readonly value?: string | undefined;
  readonly inlineValue?: boolean | undefined;
}

function readFlag(line: Line, token: FlagToken): void {
  const { name, rawName } = token;
  if (name === "help" || name === "version") {
    line.requested.add(name);
    return;
  }
  const key = KEY_OF_FLAG.get(name);
  if (key === undefined) {
    line.problems.push(`Unknown flag "${rawName}"`);
    return;
  }
  const { placeholder, list } = SETTINGS[key];
  const text = placeholder === undefined ? (token.value ?? "true") : flagValue(token);
  if (text === undefined) {
    line.problems.push(`Missing value: ${rawName} ${placeholder}`);
    return;
  }
  const before = list === true ? line.given[key] : undefined;
  line.given[key] = { source: rawName, text: before === undefined ? text : `${before.text},${text}` };
}

/**
 * The value of a flag; undefined if it is missing. No flag has a value that begins with a hyphen: a following argument
 * with a hyphen is the next flag.
 */
function flagValue({ rawName, value, inlineValue }: FlagToken): string | undefined {
  if (inlineValue !== true && value?.startsWith("-")) return undefined;
  // The parser treats the "=" of "-o=json" as a part of the value.
  return rawName.startsWith("--") ? value : value?.replace(/^=/, "");
}

/** The node name for commands that do not use it. They work even if the host name is not a valid name of a Node. */
const ANY_NODE: Given = { source: "this node", text: "this-node" };

/** The node name: from the flag, NODE_NAME or the host name. An empty name counts as absent, as in kube-proxy. */
function nodeNameSource(given: Given | undefined, env: Environment, hostname: string): Given {
  if (given !== undefined && given.text !== "") return given;
  const name = env.NODE_NAME ?? "";
  return name === "" ? { source: "host name", text: hostname } : { source: "NODE_NAME", text: name };
}

function commandProblems(command: Command, given: Line["given"]): readonly string[] {
  return KEYS.flatMap((key) => {
    const source = given[key]?.source;
    const { commands } = SETTINGS[key];
    if (source === undefined || commands.includes("run") || commands.includes(command)) return [];
    return [`${source} is not a flag of ${command}: use it with ${commands.join(" or ")}`];
  });
}

/** The problems of the flags that select the source of Services. Exactly one source must be given. */
function sourceProblems(command: Command, config: Config, isPod: boolean): readonly string[] {
  if (!SETTINGS.manifests.commands.includes(command)) return [];
  const api = config.kubeconfig !== "" ? "--kubeconfig" : config.servers.length > 0 ? "--master" : "";
  if (config.manifests !== "")
    return api === "" ? [] : [`--manifests and ${api} are both a source of Services: use only one of them`];
  if (api !== "" || isPod) return [];
  return [
    `${command} needs a source of Services: --kubeconfig PATH, --master URL or --manifests PATH (there is no service account of a pod: KUBERNETES_SERVICE_HOST is not set)`,
  ];
}

/** The help text of a command. Without a command, the list of commands and the flags of `run`. */
function helpText(command: Command | undefined): string {
  const about = command ?? "run";
  const head =
    command === undefined
      ? ["Usage: kube-ipvs [command] [flags]", "", ...COMMAND_NAMES.map(commandLine)]
      : [`Usage: kube-ipvs ${command} [flags]`, "", `${COMMANDS[command]}.`];
  const flags = KEYS.filter((key) => SETTINGS[key].commands.includes(about)).map(flagHelp);
  const title = command === undefined ? "Flags of run (flags of another command: kube-ipvs COMMAND --help):" : "Flags:";
  return `${[...head, "", title, ...flags, "  -h, --help", "  --version"].join("\n")}\n`;
}

function commandLine(name: string): string {
  return isCommand(name) ? `  ${name.padEnd(9)}${COMMANDS[name]}` : "";
}

function flagHelp(key: Key): string {
  const { flag, aliases = [], short, placeholder, fallback, help } = SETTINGS[key];
  const names = [...(short === undefined ? [] : [`-${short}`]), ...[flag, ...aliases].map((name) => `--${name}`)];
  const value = placeholder === undefined ? "" : ` ${placeholder}`;
  const byDefault = fallback === "" ? "" : ` (default ${fallback})`;
  return `  ${names.join(", ")}${value}\n        ${help}${byDefault}`;
}
