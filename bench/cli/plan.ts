import { join } from "node:path";
import type { Size } from "../report/size.ts";
import { sizeText, sizeTitle } from "../report/size.ts";
import type { StageSpec } from "../scenarios/stage.ts";
import { peerOf, type SubjectSpec } from "../subjects/subject.ts";
import type { Scenario } from "./arguments.ts";

/** A process of a run, in a network namespace of its own. */
export interface Step {
  /** For people. */
  readonly title: string;
  /** Node's flags, the program in bench/stages/, and its arguments. */
  readonly nodeFlags: "agent" | "none";
  readonly program: "api-stage" | "keepalived-stage" | "sync-stage" | "floor-stage";
  readonly args: readonly string[];
  /** Expected time on a quiet machine. */
  readonly seconds: number;
  /** Whether it runs on this machine instead of the chosen kernel. */
  readonly isWithoutKernel: boolean;
  /** For a step that fails as a whole. */
  readonly subject: string;
  readonly size: string;
  readonly scenario: string;
}

export interface PlanOptions {
  readonly sizes: readonly Size[];
  readonly scenarios: readonly Scenario[];
  readonly peers: readonly string[];
  readonly rounds: number;
  readonly seconds: number;
  readonly churnLimit: number;
  /** The folder of the run, with the bundle of the agent. */
  readonly folder: string;
}

/** The steps of one size, which share a kernel. */
export interface SizePlan {
  readonly size: Size;
  readonly steps: readonly Step[];
}

/** From here on one round is measured: a round takes minutes. */
const ONE_ROUND_FROM_ENDPOINTS = 200_000;
/** ipvsadm, ipset and ip with 10,000 Services of 10 endpoints; larger clusters have them once. */
const TOOLS_SECONDS = 40;
const LONG_TOOLS = 0.9;
const MEMORY_SIZE: Size = { services: 100_000, endpoints: 10, ports: 1 };
const AFTER_START: readonly Scenario[] = ["idle", "change", "service", "rolling", "churn", "drain", "restart"];

/** The steps of a run, by size. */
export function planOf(options: PlanOptions): readonly SizePlan[] {
  const plans = options.sizes.map((size) => ({ size, steps: stepsOf(size, options) }));
  const memory = options.scenarios.includes("memory") ? [{ size: MEMORY_SIZE, steps: [memoryStep(MEMORY_SIZE)] }] : [];
  return [...plans, ...memory].filter(({ steps }) => steps.length > 0);
}

function stepsOf(size: Size, options: PlanOptions): readonly Step[] {
  const { scenarios } = options;
  const isLarge = size.services * size.endpoints * size.ports >= ONE_ROUND_FROM_ENDPOINTS;
  const rounds = isLarge ? 1 : options.rounds;
  const agent: SubjectSpec = { kind: "agent", name: "kube-ipvs", bundle: join(options.folder, "agent/kube-ipvs.mjs") };
  const subjects = [agent, ...options.peers.map(peerOf)];
  return [
    ...(needsRecording(scenarios) ? [recordStep(size, options)] : []),
    ...(scenarios.includes("sync") ? repeated(rounds, (round) => syncSteps(size, options, round)) : []),
    ...subjects.flatMap((subject) => apiSteps(size, subject, { ...options, rounds })),
    ...(scenarios.includes("takeover") ? [takeoverStep(size, agent, options)] : []),
    ...(scenarios.includes("keepalived") ? [keepalivedStep(size, options)] : []),
  ];
}

function needsRecording(scenarios: readonly Scenario[]): boolean {
  return scenarios.includes("sync") || scenarios.includes("takeover");
}

function repeated(rounds: number, steps: (round: number) => readonly Step[]): readonly Step[] {
  return Array.from({ length: rounds }, (_, round) => steps(round)).flat();
}

function apiSteps(size: Size, subject: SubjectSpec, options: PlanOptions): readonly Step[] {
  const { scenarios, rounds, seconds } = options;
  const after = scenarios.filter((name) => AFTER_START.includes(name));
  if (after.length === 0 && !scenarios.includes("cold")) return [];
  const title = (text: string) => `${sizeTitle(size)}: ${subject.name}, ${text}`;
  const cold = 3 + load(size) * 6;
  const long = after.filter((name) => ["idle", "change", "churn"].includes(name)).length;
  const whole = cold * 2 + after.length * 10 + long * seconds;
  const names = { subject: subject.name, size: sizeText(size), scenario: "cold" };
  const step = (stage: Partial<StageSpec>, text: string, expected: number): Step => ({
    title: title(text),
    nodeFlags: "none",
    program: "api-stage",
    args: [JSON.stringify({ ...specOf(size, subject, options), ...stage })],
    seconds: expected,
    isWithoutKernel: false,
    ...names,
  });
  const colds = scenarios.includes("cold") ? rounds - 1 : 0;
  return [
    step({}, ["cold start", ...after].join(", "), whole),
    ...Array.from({ length: colds }, (_, round) =>
      step({ scenarios: ["cold"] }, `cold start, round ${round + 2}`, cold),
    ),
  ];
}

/** How large a cluster is, where 10,000 Services with 10 endpoints are 1. */
function load({ services, endpoints, ports }: Size): number {
  return (services * ports * (1 + endpoints)) / 110_000;
}

function specOf(size: Size, subject: SubjectSpec, options: PlanOptions): StageSpec {
  const { scenarios, seconds, churnLimit, folder } = options;
  const logFile = join(folder, "logs", `${subject.name.replaceAll(/[^\w.-]/g, "_")}-${sizeText(size)}.log`);
  return { size, subject, scenarios, seconds, churnLimit, logFile };
}

function takeoverStep(size: Size, agent: SubjectSpec, options: PlanOptions): Step {
  const spec = { ...specOf(size, agent, options), leftovers: recordFolder(size, options) };
  return {
    title: `${sizeTitle(size)}: kube-ipvs, takeover of the state of another program`,
    nodeFlags: "none",
    program: "api-stage",
    args: [JSON.stringify(spec)],
    seconds: 5 + load(size) * (10 + TOOLS_SECONDS),
    isWithoutKernel: false,
    subject: agent.name,
    size: sizeText(size),
    scenario: "takeover",
  };
}

function keepalivedStep(size: Size, options: PlanOptions): Step {
  const subject: SubjectSpec = { kind: "keepalived", name: "keepalived" };
  return {
    title: `${sizeTitle(size)}: keepalived, start and reload`,
    nodeFlags: "none",
    program: "keepalived-stage",
    args: [JSON.stringify(specOf(size, subject, options))],
    seconds: 5 + load(size) * 60,
    isWithoutKernel: false,
    subject: subject.name,
    size: sizeText(size),
    scenario: "keepalived",
  };
}

function recordFolder(size: Size, { folder }: PlanOptions): string {
  return join(folder, `state-${sizeText(size)}`);
}

function syncStep(size: Size, text: string, step: Pick<Step, "program" | "args" | "seconds" | "nodeFlags">): Step {
  return {
    ...step,
    title: `${sizeTitle(size)}: ${text}`,
    isWithoutKernel: false,
    subject: text,
    size: sizeText(size),
    scenario: "sync",
  };
}

function recordStep(size: Size, options: PlanOptions): Step {
  return syncStep(size, "recording of the datagrams", {
    program: "sync-stage",
    args: [sizeText(size), "netlink", recordFolder(size, options)],
    nodeFlags: "agent",
    seconds: 2 + load(size) * 6,
  });
}

function syncSteps(size: Size, options: PlanOptions, round: number): readonly Step[] {
  const folder = recordFolder(size, options);
  const floor = (kind: string, seconds: number): Step =>
    syncStep(size, `floor, ${kind}`, {
      program: "floor-stage",
      args: [sizeText(size), kind, folder],
      nodeFlags: "none",
      seconds: 1 + load(size) * seconds,
    });
  const sync = syncStep(size, "kube-ipvs from objects in memory to the kernel", {
    program: "sync-stage",
    args: [sizeText(size), "netlink"],
    nodeFlags: "agent",
    seconds: 3 + load(size) * 9,
  });
  const hasTools = round === 0 || load(size) < LONG_TOOLS;
  return [sync, floor("bytes", 2), ...(hasTools ? [floor("tools", TOOLS_SECONDS)] : [])];
}

function memoryStep(size: Size): Step {
  return {
    ...syncStep(size, "kube-ipvs with a kernel in memory", {
      program: "sync-stage",
      args: [sizeText(size), "memory"],
      nodeFlags: "agent",
      seconds: 60,
    }),
    isWithoutKernel: true,
  };
}
