import { argumentOf } from "./arguments.ts";
import { COMMAND_LINE_FLAGS, type CommandLineFlag } from "./command-line-flags.ts";
import { COMMAND_NAMES, COMMANDS, isCommand } from "./command-names.ts";
import type { Command } from "./settings/setting.ts";
import { SETTING_KEYS, SETTINGS, type SettingKey } from "./settings.ts";
import { UNUSED_SETTINGS } from "./unused-settings.ts";

/** The help text of a command. Without a command, the list of commands and the flags of `run`. */
export function helpText(command: Command | undefined): string {
  const about = command ?? "run";
  const head =
    command === undefined
      ? ["Usage: kube-ipvs [command] [flags]", "", ...COMMAND_NAMES.map(commandLine)]
      : [`Usage: kube-ipvs ${[command, ...argumentNames(command), "[flags]"].join(" ")}`, "", `${COMMANDS[command]}.`];
  const settings = SETTING_KEYS.filter((key) => SETTINGS[key].commands.includes(about)).map(settingHelp);
  const title = command === undefined ? "Flags of run (flags of another command: kube-ipvs COMMAND --help):" : "Flags:";
  const others = Object.entries<CommandLineFlag>(COMMAND_LINE_FLAGS)
    .filter(([, flag]) => about === "run" || flag.ofRun !== true)
    .map(([name, flag]) => flagHelp(name, flag));
  const unused = UNUSED_SETTINGS.flatMap(({ flag }) => (flag === undefined ? [] : `--${flag}`));
  const end = `Flags of kube-proxy without effect here: ${unused.join(", ")}`;
  return `${[...head, "", title, ...others, ...settings, "", end].join("\n")}\n`;
}

function argumentNames(command: Command): readonly string[] {
  const key = argumentOf(command);
  return key === undefined ? [] : [SETTINGS[key].placeholder ?? ""];
}

function commandLine(name: string): string {
  return isCommand(name) ? `  ${name.padEnd(15)}${COMMANDS[name]}` : "";
}

function flagHelp(flag: string, { placeholder, help }: CommandLineFlag): string {
  const value = placeholder === undefined ? "" : ` ${placeholder}`;
  return `  ${flag === "help" ? "-h, " : ""}--${flag}${value}\n        ${help}`;
}

function settingHelp(key: SettingKey): string {
  const { flag, aliases = [], short, placeholder, fallback, help } = SETTINGS[key];
  const names = [...(short === undefined ? [] : [`-${short}`]), ...[flag, ...aliases].map((name) => `--${name}`)];
  const value = placeholder === undefined ? "" : ` ${placeholder}`;
  const byDefault = fallback === "" ? "" : ` (default ${fallback})`;
  return `  ${names.join(", ")}${value}\n        ${help}${byDefault}`;
}
