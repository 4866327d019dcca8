import { NODE_FLAGS } from "../../build.ts";
import { DetectingObserver } from "../observer/detecting-observer.ts";
import { IpvsObserver } from "../observer/ipvs-observer.ts";

/** The program that is measured, as text for a command line. */
export type SubjectSpec =
  | { readonly kind: "agent"; readonly name: string; readonly bundle: string }
  | { readonly kind: "peer"; readonly name: string; readonly command: string }
  | { readonly kind: "keepalived"; readonly name: string };

/** The agent as it ships; conntrack settings are those of the machine and stay. */
const AGENT_FLAGS = ["--conntrack-max-per-core=0"];

export function newObserver({ kind }: SubjectSpec): IpvsObserver | DetectingObserver {
  return kind === "peer" ? new DetectingObserver() : new IpvsObserver();
}

/** The command line of a program that reads the API server of a kubeconfig, on a node of this name. */
export function commandOf(
  spec: Exclude<SubjectSpec, { kind: "keepalived" }>,
  kubeconfig: string,
  nodeName: string,
): readonly string[] {
  if (spec.kind === "peer") return ["sh", "-c", `exec ${peerCommand(spec.command, kubeconfig)}`];
  const flags = [...AGENT_FLAGS, `--kubeconfig=${kubeconfig}`, `--hostname-override=${nodeName}`];
  return [process.execPath, ...NODE_FLAGS, spec.bundle, "run", ...flags];
}

/** Puts the path of the kubeconfig into the command of a peer. */
export function peerCommand(command: string, kubeconfig: string): string {
  return command.replaceAll("{kubeconfig}", kubeconfig);
}

/** "NAME=COMMAND", or a command whose program gives the name. */
export function peerOf(text: string): SubjectSpec & { kind: "peer" } {
  const named = /^([\w][\w. -]*)=(\S.*)$/s.exec(text);
  if (named !== null) return { kind: "peer", name: named[1] ?? "", command: named[2] ?? "" };
  const [program = ""] = text.trim().split(/\s+/);
  return { kind: "peer", name: program.split("/").at(-1) ?? program, command: text };
}
