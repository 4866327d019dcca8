import type { Command } from "./settings/setting.ts";

/** The commands with their help texts. */
export const COMMANDS: Readonly<Record<Command, string>> = {
  run: "Program the kernel until a signal stops the process (the default command)",
  init: "Load kernel modules and set sysctls, then exit. An unprivileged agent cannot do this itself",
  plan: "Print the kernel objects that this node should hold. Changes nothing and needs no privilege",
  diff: "Compare the plan with the kernel of this node. Changes nothing. Exit code 0: equal, 2: different",
  explain:
    "Print why a Service answers or does not answer on this node. Exit code 0: nothing is wrong, 2: something is",
  trace:
    "Print the way of a packet through the rules, sets and virtual servers of this node. Exit code 0: delivered, 2: dropped or refused",
  doctor:
    "Print what is wrong with this node: kernel, rules, neighbours, source of Services. Exit code 0: nothing, 2: errors or warnings",
  status: "Print the state of the running agent of this node. Exit code 0: ready, 2: not ready",
  "support-bundle":
    "Print a tar archive for a report of a problem: state of the agent, plan, diff, doctor, metrics and the kernel. It has no secrets",
  rollback:
    "Remove what kube-proxy cannot use from the kernel of this node, and keep all connections. Then kube-proxy can start",
  cleanup: "Remove the objects of kube-ipvs from the kernel of this node, and no others",
};

export const COMMAND_NAMES: readonly string[] = Object.keys(COMMANDS);

export function isCommand(text: string): text is Command {
  return COMMAND_NAMES.includes(text);
}
