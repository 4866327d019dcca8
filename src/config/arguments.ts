import { parseArgs } from "node:util";
import {
  COMMAND_LINE_FLAGS,
  type CommandLineFlag,
  type CommandLineFlagName,
  isCommandLineFlag,
} from "./command-line-flags.ts";
import { COMMAND_NAMES, isCommand } from "./command-names.ts";
import type { Given } from "./config.ts";
import type { JsonValue } from "./json.ts";
import type { Command } from "./settings/setting.ts";
import { SETTING_KEYS, SETTINGS, type SettingKey } from "./settings.ts";
import { suggestion } from "./suggestion.ts";
import { UNUSED_SETTINGS, type UnusedSetting } from "./unused-settings.ts";

/** The arguments of the program, read but not checked. */
export interface Arguments {
  readonly command: Command | undefined;
  /** The settings that flags give. The source of each is the flag as it was written. */
  readonly given: Readonly<Partial<Record<SettingKey, Given>>>;
  /** The flags that are no settings. */
  readonly flags: Readonly<Partial<Record<CommandLineFlagName, Given>>>;
  /** The flags that have no effect, as they were written. */
  readonly unused: readonly string[];
  /** The values of unused flags by their paths in the configuration file. */
  readonly unusedValues: ReadonlyMap<string, JsonValue>;
  readonly problems: readonly string[];
}

const KEY_OF_FLAG: ReadonlyMap<string, SettingKey> = new Map(
  SETTING_KEYS.flatMap((key) => [SETTINGS[key].flag, ...(SETTINGS[key].aliases ?? [])].map((flag) => [flag, key])),
);
const UNUSED_BY_FLAG: ReadonlyMap<string, UnusedSetting> = new Map(
  UNUSED_SETTINGS.flatMap((setting) => (setting.flag === undefined ? [] : [[setting.flag, setting]])),
);
/** Every flag, with two hyphens. */
export const FLAG_NAMES: readonly string[] = [
  ...KEY_OF_FLAG.keys(),
  ...UNUSED_BY_FLAG.keys(),
  ...Object.keys(COMMAND_LINE_FLAGS),
].map((name) => `--${name}`);

/**
 * Reads arguments as pflag does: `--flag value`, `--flag=value`, `--flag` for true, `-o value`, `-ovalue`, `_` for `-`.
 * The values of a list are separated by commas, and a list flag may be repeated. For other flags, the last value counts.
 */
export function readArguments(argv: readonly string[]): Arguments {
  const { tokens } = parseArgs({ args: argv.map(hyphenated), options: options(), strict: false, tokens: true });
  const line: Line = { command: undefined, given: {}, flags: {}, unused: [], unusedValues: new Map(), problems: [] };
  for (const token of tokens) {
    if (token.kind === "positional") readPositional(line, token.value);
    else if (token.kind === "option") readFlag(line, token);
  }
  return line;
}

interface Line extends Arguments {
  command: Command | undefined;
  readonly given: Partial<Record<SettingKey, Given>>;
  readonly flags: Partial<Record<CommandLineFlagName, Given>>;
  readonly unused: string[];
  readonly unusedValues: Map<string, JsonValue>;
  readonly problems: string[];
}

/** The argument with hyphens instead of underscores in the name of its flag. The value does not change. */
function hyphenated(argument: string): string {
  return argument.replace(/^--[^=]+/, (name) => name.replaceAll("_", "-"));
}

function options() {
  const settings = [...KEY_OF_FLAG].map(([flag, key]) => {
    const { short, placeholder } = SETTINGS[key];
    return option(flag, placeholder === undefined, short);
  });
  const unused = [...UNUSED_BY_FLAG].map(([flag, { type }]) => option(flag, type === "boolean"));
  const others = Object.entries<CommandLineFlag>(COMMAND_LINE_FLAGS).map(([flag, { placeholder }]) =>
    option(flag, placeholder === undefined, flag === "help" ? "h" : undefined),
  );
  return Object.fromEntries([...settings, ...unused, ...others]);
}

function option(flag: string, isBoolean: boolean, short?: string) {
  const type = isBoolean ? ("boolean" as const) : ("string" as const);
  return [flag, short === undefined ? { type } : { type, short }] as const;
}

function readPositional(line: Line, text: string): void {
  const argument = argumentOf(line.command);
  if (argument !== undefined && line.given[argument] === undefined) line.given[argument] = { source: "argument", text };
  else if (line.command !== undefined) line.problems.push(`Unexpected argument "${text}"`);
  else if (isCommand(text)) line.command = text;
  else line.problems.push(`Unknown command "${text}": use ${COMMAND_NAMES.join(", ")}`);
}

/** The setting that is the argument of the command. */
export function argumentOf(command: Command | undefined): SettingKey | undefined {
  return command && SETTING_KEYS.find((key) => SETTINGS[key].argumentOf === command);
}

interface FlagToken {
  readonly name: string;
  readonly rawName: string;
  readonly value?: string | undefined;
  readonly inlineValue?: boolean | undefined;
}

function readFlag(line: Line, token: FlagToken): void {
  const { name, rawName } = token;
  const key = KEY_OF_FLAG.get(name);
  const unused = UNUSED_BY_FLAG.get(name);
  if (key !== undefined) readSetting(line, key, token);
  else if (unused !== undefined) readUnused(line, unused, token);
  else if (isCommandLineFlag(name)) {
    const { placeholder }: CommandLineFlag = COMMAND_LINE_FLAGS[name];
    const text = textOf(line, token, placeholder);
    if (text !== undefined) line.flags[name] = { source: rawName, text };
  } else line.problems.push(`Unknown flag "${rawName}"${suggestion(rawName, FLAG_NAMES)}`);
}

function readSetting(line: Line, key: SettingKey, token: FlagToken): void {
  const { placeholder, type } = SETTINGS[key];
  const text = textOf(line, token, placeholder);
  if (text === undefined) return;
  const before = type === "strings" ? line.given[key] : undefined;
  line.given[key] = { source: token.rawName, text: before === undefined ? text : `${before.text},${text}` };
}

function readUnused(line: Line, { path, type }: UnusedSetting, token: FlagToken): void {
  const text = textOf(line, token, type === "boolean" ? undefined : "VALUE");
  if (text === undefined) return;
  line.unused.push(token.rawName);
  if (path === undefined || type === "gates") return;
  const number = Number(text);
  if (type === "boolean") line.unusedValues.set(path, text !== "false");
  else if (type !== "integer" && type !== "number") line.unusedValues.set(path, text);
  else if (!Number.isNaN(number)) line.unusedValues.set(path, number);
}

/** The value of a flag; undefined if it is missing, which is a problem. A boolean flag has no placeholder and needs no value. */
function textOf(line: Line, token: FlagToken, placeholder: string | undefined): string | undefined {
  if (placeholder === undefined) return token.value ?? "true";
  const text = flagValue(token);
  if (text === undefined) line.problems.push(`Missing value: ${token.rawName} ${placeholder}`);
  return text;
}

/**
 * The value of a flag; undefined if it is missing. A following argument with a hyphen is the next flag, unless it is a
 * negative number.
 */
function flagValue({ rawName, value, inlineValue }: FlagToken): string | undefined {
  if (inlineValue !== true && value?.startsWith("-") === true && !/^-\d/.test(value)) return undefined;
  // The parser treats the "=" of "-o=json" as a part of the value.
  return rawName.startsWith("--") ? value : value?.replace(/^=/, "");
}
