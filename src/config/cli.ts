import { addressPort, parseAddress } from "../model/address.ts";
import { type Arguments, argumentOf, readArguments } from "./arguments.ts";
import { COMMAND_LINE_FLAGS, type CommandLineFlag, isCommandLineFlag } from "./command-line-flags.ts";
import { type Config, type Given, type GivenTexts, readConfig } from "./config.ts";
import { type ConfigFile, readConfigFile } from "./config-file.ts";
import { effectiveConfiguration } from "./effective-configuration.ts";
import { helpText } from "./help.ts";
import type { JsonObject } from "./json.ts";
import { integerFrom, parseBoolean } from "./setting-values.ts";
import type { Command } from "./settings/setting.ts";
import { SETTING_KEYS, SETTINGS, type SettingKey } from "./settings.ts";

/** A configuration and what is reported about it. */
export interface Configuration {
  readonly config: Config;
  /** The effective configuration as a KubeProxyConfiguration. */
  readonly effective: JsonObject;
  /** The value in use of every setting, as text, by its flag without hyphens. */
  readonly flags: Readonly<Record<string, string>>;
  /** The path of the configuration file; "" for none. */
  readonly file: string;
  /** One line that names the given flags and keys that have no effect; "" if there are none. */
  readonly notice: string;
}

/** The result of reading the command line. */
export type Invocation =
  | ({ readonly kind: "command"; readonly command: Command } & Configuration)
  | ({ readonly kind: "write-config"; readonly path: string } & Configuration)
  | { readonly kind: "help"; readonly text: string }
  | { readonly kind: "version" }
  /** The arguments or the file are invalid. The caller prints the problems to stderr and exits with 64 (EX_USAGE of sysexits.h). */
  | { readonly kind: "refused"; readonly problems: readonly string[] };

/** What the configuration depends on besides the arguments. */
export interface Surroundings {
  readonly env: {
    /** The name of the node, from the downward API. */
    readonly NODE_NAME?: string | undefined;
    /** Set in a pod. */
    readonly KUBERNETES_SERVICE_HOST?: string | undefined;
  };
  /** The node name if no flag, file or variable gives one. */
  readonly hostname: string;
  /** Returns the content of a text file. Throws if it cannot be read. */
  readonly readFile: (path: string) => string;
}

/**
 * Reads the command line and the file of `--config`. Every command accepts the flags of `run`, so that `diff`, `rollback` and `cleanup` can
 * be run with the arguments of the DaemonSet.
 *
 * With `--config` the flags of kube-proxy have no effect, as in kube-proxy, except those for the log, `--hostname-override`,
 * `--master`, and those that are no settings. Flags that only kube-ipvs has take precedence over the file.
 */
export function readCommandLine(argv: readonly string[], surroundings: Surroundings): Invocation {
  const line = readArguments(argv);
  if (line.flags.help !== undefined) return { kind: "help", text: helpText(line.command) };
  if (line.flags.version !== undefined && line.flags.version.text !== "false") return { kind: "version" };

  const { command, path, problems: actionProblems } = actionOf(line);
  const file = fileOf(line, surroundings);
  const merged = file.path === "" ? withPorts(line) : merge(line, file);
  const given = named(merged.given, command, surroundings);
  const { config, texts, problems } = readConfig(given);
  const isPod = surroundings.env.KUBERNETES_SERVICE_HOST !== undefined;
  const all = [
    ...line.problems,
    ...actionProblems,
    ...file.problems,
    ...merged.problems,
    ...commandProblems(command, line.given),
    ...requiredProblems(command, line.given),
    // A file with problems gives no settings: that there is no source of Services may follow from it.
    ...(path === "" && file.problems.length === 0 ? sourceProblems(command, config, given, isPod) : []),
    ...problems,
  ];
  if (all.length > 0) return { kind: "refused", problems: all };
  const configuration: Configuration = {
    config,
    effective: effectiveConfiguration(texts, new Map([...line.unusedValues, ...file.unused])),
    flags: Object.fromEntries(SETTING_KEYS.map((key) => [SETTINGS[key].flag, texts[key].text])),
    file: file.path,
    notice: noticeOf([...line.unused, ...file.unused.keys()], merged.overruled),
  };
  return path === ""
    ? { kind: "command", command, ...configuration }
    : { kind: "write-config", path, ...configuration };
}

/** What to do. As in kube-proxy, `--write-config-to` comes before `--cleanup`, and `--cleanup` before `--init-only`. */
function actionOf({ command, flags }: Arguments): { command: Command; path: string; problems: readonly string[] } {
  const problems: string[] = [];
  const isSet = (given: Given | undefined) =>
    given !== undefined &&
    parseBoolean(given.text, (problem) => problems.push(`Invalid ${given.source} "${given.text}": ${problem}`));
  const [cleanup, init] = [isSet(flags.cleanup), isSet(flags["init-only"])];
  const asked = cleanup ? "cleanup" : init ? "init" : undefined;
  if (asked !== undefined && command !== undefined && command !== asked && command !== "run")
    problems.push(`${asked === "init" ? "--init-only" : "--cleanup"} contradicts the command ${command}`);
  return { command: asked ?? command ?? "run", path: flags["write-config-to"]?.text ?? "", problems };
}

interface NamedFile extends ConfigFile {
  /** "" for no file. */
  readonly path: string;
  readonly problems: readonly string[];
}

function fileOf({ flags }: Arguments, { readFile }: Surroundings): NamedFile {
  const path = flags.config?.text ?? "";
  const none = { given: {}, unused: new Map(), path };
  if (path === "") return { ...none, problems: [] };
  try {
    const { file, problems } = readConfigFile(readFile(path));
    return { ...file, path, problems };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { ...none, problems: [`Cannot read --config "${path}": ${reason}`] };
  }
}

interface Merged {
  readonly given: GivenTexts;
  /** The flags that have no effect because there is a file. */
  readonly overruled: readonly string[];
  readonly problems: readonly string[];
}

/** The settings of kube-proxy whose flags count besides a file. `--master` has no path in kube-proxy's file. */
const OVER_FILE: ReadonlySet<SettingKey> = new Set(["nodeName", "verbosity", "loggingFormat"]);

function merge(line: Arguments, file: ConfigFile): Merged {
  const given: Partial<Record<SettingKey, Given>> = { ...file.given };
  const overruled: string[] = [];
  for (const key of SETTING_KEYS) {
    const flag = line.given[key];
    if (flag === undefined) continue;
    const { path } = SETTINGS[key];
    const isOwn = path === undefined || path.startsWith("kubeIpvs.");
    if (isOwn || OVER_FILE.has(key)) given[key] = flag;
    else overruled.push(flag.source);
  }
  const ports = Object.entries(line.flags).filter(([name]) => {
    const flag: CommandLineFlag | undefined = isCommandLineFlag(name) ? COMMAND_LINE_FLAGS[name] : undefined;
    return flag?.withoutFile === true;
  });
  return { given, overruled: [...overruled, ...ports.map(([, { source }]) => source)], problems: [] };
}

/** The settings of the command line alone, with the deprecated flags of ports. */
function withPorts({ given, flags }: Arguments): Merged {
  const problems: string[] = [];
  const refuse = (problem: string) => problems.push(problem);
  const healthz = withPort(given.healthzBindAddress, flags["healthz-port"], refuse);
  const metrics = withPort(given.metricsBindAddress, flags["metrics-port"], refuse);
  return {
    given: {
      ...given,
      ...(healthz && { healthzBindAddress: healthz }),
      ...(metrics && { metricsBindAddress: metrics }),
    },
    overruled: [],
    problems,
  };
}

/** The address with the port of a deprecated flag, as in kube-proxy: 0 for no server, else the port of an address that has none. */
function withPort(
  address: Given | undefined,
  port: Given | undefined,
  refuse: (problem: string) => void,
): Given | undefined {
  if (port === undefined) return address;
  const number = integerFrom(0, 65_535)(port.text, (problem) =>
    refuse(`Invalid ${port.source} "${port.text}": ${problem}`),
  );
  if (number === 0) return { source: port.source, text: "" };
  const bare = parseAddress(address?.text ?? "");
  return address === undefined || bare === undefined ? address : { ...address, text: addressPort(bare, number) };
}

/** The node name for commands that do not use it. They work even if the host name is not a valid name of a Node. */
const ANY_NODE: Given = { source: "host name", text: "this-node" };

function named(given: GivenTexts, command: Command, { env, hostname }: Surroundings): GivenTexts {
  if (given.nodeName === undefined && !SETTINGS.nodeName.commands.includes(command))
    return { ...given, nodeName: ANY_NODE };
  return { ...given, nodeName: nodeNameSource(given.nodeName, env, hostname) };
}

/** The node name: as given, from NODE_NAME, or the host name. An empty name counts as absent, as in kube-proxy. */
function nodeNameSource(given: Given | undefined, env: Surroundings["env"], hostname: string): Given {
  if (given !== undefined && given.text !== "") return given;
  const name = env.NODE_NAME ?? "";
  return name === "" ? { source: "host name", text: hostname } : { source: "NODE_NAME", text: name };
}

function commandProblems(command: Command, given: Arguments["given"]): readonly string[] {
  return SETTING_KEYS.flatMap((key) => {
    const source = given[key]?.source;
    const { commands } = SETTINGS[key];
    if (source === undefined || commands.includes("run") || commands.includes(command)) return [];
    return [`${source} is not a flag of ${command}: use it with ${orList(commands)}`];
  });
}

/** "plan", "plan or diff", "plan, diff or explain". */
function orList(words: readonly string[]): string {
  const last = words.at(-1) ?? "";
  return words.length < 2 ? last : `${words.slice(0, -1).join(", ")} or ${last}`;
}

/** The problems of a missing argument and of missing flags that the command needs. */
function requiredProblems(command: Command, given: Arguments["given"]): readonly string[] {
  const argument = argumentOf(command);
  const missing = SETTING_KEYS.filter(
    (key) => SETTINGS[key].required === true && SETTINGS[key].commands.includes(command) && given[key] === undefined,
  ).map((key) => `Missing flag: kube-ipvs ${command} --${SETTINGS[key].flag} ${SETTINGS[key].placeholder}`);
  if (argument === undefined || given[argument] !== undefined) return missing;
  return [`Missing argument: kube-ipvs ${command} ${SETTINGS[argument].placeholder}`, ...missing];
}

/** Whether the command works without a source of its own: the running agent can answer, or the source is only one of its checks. */
function needsNoSource(command: Command): boolean {
  return command === "doctor" || (command !== "run" && SETTINGS.stateSocket.commands.includes(command));
}

/** The problems of the source of Services. There must be exactly one; a flag takes precedence over the file. */
function sourceProblems(command: Command, config: Config, given: GivenTexts, isPod: boolean): readonly string[] {
  if (!SETTINGS.manifests.commands.includes(command) || needsNoSource(command)) return [];
  const api = config.kubeconfig !== "" ? given.kubeconfig : config.servers.length > 0 ? given.servers : undefined;
  if (config.manifests !== "") {
    const source = given.manifests?.source ?? "";
    if (api === undefined || (source.startsWith("-") && !api.source.startsWith("-"))) return [];
    return [`${source} and ${api.source} are both a source of Services: use only one of them`];
  }
  if (api !== undefined || isPod) return [];
  return [
    `${command} needs a source of Services: --kubeconfig PATH, --master URL or --manifests PATH (there is no service account of a pod: KUBERNETES_SERVICE_HOST is not set)`,
  ];
}

function noticeOf(unused: readonly string[], overruled: readonly string[]): string {
  const parts = [
    ...(unused.length === 0 ? [] : [`kube-ipvs does not use ${unused.join(", ")}`]),
    ...(overruled.length === 0 ? [] : [`with --config the file replaces ${overruled.join(", ")}`]),
  ];
  return parts.length === 0 ? "" : `settings without effect: ${parts.join("; ")}`;
}
