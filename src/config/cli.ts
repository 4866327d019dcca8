import { parseArgs } from "node:util";
import { type Config, type Given, readConfig } from "./config.ts";
import { type Command, SETTINGS } from "./settings.ts";

/** What the arguments ask for. */
export type Invocation =
  | { readonly kind: "command"; readonly command: Command; readonly config: Config }
  | { readonly kind: "help"; readonly text: string }
  | { readonly kind: "version" }
  /** Nothing can be done; to be told on stderr, with exit code 64 (EX_USAGE of sysexits.h). */
  | { readonly kind: "refused"; readonly problems: readonly string[] };

interface Environment {
  readonly NODE_NAME?: string | undefined;
  readonly KUBERNETES_SERVICE_HOST?: string | undefined;
}

type Key = keyof Config;

const COMMANDS: Readonly<Record<Command, string>> = {
  run: "Program the kernel and keep it right until a signal (the default command)",
  init: "Load kernel modules and set sysctls, then exit: what the agent cannot do in an unprivileged container",
  plan: "Print what this node would hold; touches nothing, needs no privilege",
  diff: "Compare that with this node's kernel, read only: exit code 0 equal, 2 different",
  cleanup: "Remove what is ours from this node's kernel, and nothing else",
};
const COMMAND_NAMES: readonly string[] = Object.keys(COMMANDS);

// The type of SETTINGS demands exactly the keys of Config.
const KEYS = Object.keys(SETTINGS) as Key[];
const KEY_OF_FLAG: ReadonlyMap<string, Key> = new Map(
  KEYS.flatMap((key) => [SETTINGS[key].flag, ...(SETTINGS[key].aliases ?? [])].map((flag) => [flag, key])),
);

/**
 * Reads arguments as pflag does: `--flag value`, `--flag=value`, `--flag` for true, `-o value`, `-ovalue`, `_` for `-`;
 * lists by comma and by repetition, else the last one counts. Flags of the agent are taken by every command, so that
 * the arguments of a DaemonSet serve `diff` and `cleanup` too.
 *
 * `env` is asked for NODE_NAME (the downward API) and KUBERNETES_SERVICE_HOST (whether this is a pod), `hostname` is the
 * last resort for the node name.
 */
export function readCommandLine(argv: readonly string[], env: Environment, hostname: string): Invocation {
  const line = readArguments(argv);
  if (line.asked.has("help")) return { kind: "help", text: helpText(line.command) };
  if (line.asked.has("version")) return { kind: "version" };

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
  readonly asked: Set<"help" | "version">;
  readonly problems: string[];
}

function readArguments(argv: readonly string[]): Line {
  const { tokens } = parseArgs({ args: argv.map(hyphenated), options: options(), strict: false, tokens: true });
  const line: Line = { command: undefined, given: {}, asked: new Set(), problems: [] };
  for (const token of tokens) {
    if (token.kind === "positional") readPositional(line, token.value);
    else if (token.kind === "option") readFlag(line, token);
  }
  return line;
}

/** Underscores in the name of a flag mean hyphens; its value is left alone. */
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
    line.asked.add(name);
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

/** No value of ours begins with a hyphen: what does is the next flag, before which a value was forgotten. */
function flagValue({ rawName, value, inlineValue }: FlagToken): string | undefined {
  if (inlineValue !== true && value?.startsWith("-")) return undefined;
  // The parser takes the "=" of "-o=json" for a part of the value.
  return rawName.startsWith("--") ? value : value?.replace(/^=/, "");
}

/** An empty name is none, as in kube-proxy; a blank one is a mistake. */
/** For commands that act on this node whatever it is called, even when its host name is no name for a Node. */
const ANY_NODE: Given = { source: "this node", text: "this-node" };

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
    return [`${source} is of no use to ${command}: it belongs to ${commands.join(" and ")}`];
  });
}

/** Services come from one place, which must be known. */
function sourceProblems(command: Command, config: Config, isPod: boolean): readonly string[] {
  if (!SETTINGS.manifests.commands.includes(command)) return [];
  const api = config.kubeconfig !== "" ? "--kubeconfig" : config.servers.length > 0 ? "--master" : "";
  if (config.manifests !== "")
    return api === "" ? [] : [`--manifests and ${api} are both a source of Services: give one of them`];
  if (api !== "" || isPod) return [];
  return [
    `${command} needs a source of Services: --kubeconfig PATH, --master URL or --manifests PATH (this is no pod with a service account: KUBERNETES_SERVICE_HOST is not set)`,
  ];
}

/** Help for one command, or for the agent and the list of commands. */
function helpText(command: Command | undefined): string {
  const about = command ?? "run";
  const head =
    command === undefined
      ? ["Usage: kube-ipvs [command] [flags]", "", ...COMMAND_NAMES.map(commandLine)]
      : [`Usage: kube-ipvs ${command} [flags]`, "", `${COMMANDS[command]}.`];
  const flags = KEYS.filter((key) => SETTINGS[key].commands.includes(about)).map(flagHelp);
  const title = command === undefined ? "Flags of run (those of another command: kube-ipvs COMMAND --help):" : "Flags:";
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
