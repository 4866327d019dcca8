import type { Command } from "./settings/setting.ts";

/** The commands with their help texts. */
export const COMMANDS: Readonly<Record<Command, string>> = {
  run: "Program the kernel until a signal stops the process (the default command)",
  init: "Load kernel modules and set sysctls, then exit. An unprivileged agent cannot do this itself",
  plan: "Print the kernel objects that this node should hold. Changes nothing and needs no privilege",
  diff: "Compare the plan with the kernel of this node. Changes nothing. Exit code 0: equal, 2: different",
  cleanup: "Remove the objects of kube-ipvs from the kernel of this node, and no others",
};

export const COMMAND_NAMES: readonly string[] = Object.keys(COMMANDS);

export function isCommand(text: string): text is Command {
  return COMMAND_NAMES.includes(text);
}
