import type { Scenario } from "../cli/arguments.ts";
import type { BenchEvent, Unit } from "../report/figure.ts";
import { type Size, sizeText } from "../report/size.ts";
import type { Running } from "../subjects/running.ts";
import type { SubjectSpec } from "../subjects/subject.ts";
import type { World } from "../world/world.ts";

/** What a stage has to do: one program with one cluster, in a network namespace of its own. */
export interface StageSpec {
  readonly size: Size;
  readonly subject: SubjectSpec;
  readonly scenarios: readonly Scenario[];
  /** How long idle and churn last. */
  readonly seconds: number;
  readonly churnLimit: number;
  /** Where the program writes its log. */
  readonly logFile: string;
  /** Files of the state that another program left in the kernel: for takeover. */
  readonly leftovers?: string;
}

/** A stage while it runs. */
export interface Stage {
  readonly spec: StageSpec;
  readonly world: World;
  /** Starts the program, for the cluster of the world. */
  start(): Promise<Running>;
}

/** The samples of one metric of a scenario. */
export interface Samples {
  readonly metric: string;
  readonly unit: Unit;
  readonly samples: readonly number[];
  readonly as?: "rounds" | "percentiles";
  readonly warmUp?: number;
  readonly note?: string;
}

/** Sends one event to the process that collects. */
export function send(event: BenchEvent): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

/** Sends samples of a scenario. */
export function sendSamples(
  spec: { readonly size: Size; readonly subject: { readonly name: string } },
  scenario: string,
  ...list: readonly Samples[]
): void {
  const name = { subject: spec.subject.name, size: sizeText(spec.size), scenario };
  for (const { as = "rounds", warmUp = 0, ...samples } of list)
    send({ kind: "samples", ...name, as, warmUp, ...samples, samples: samples.samples.map(rounded) });
}

/** How long a program may take for a cold start, by the number of virtual servers; then its stage ends. */
export function coldLimitMs({ size, subject }: StageSpec): number {
  const servers = size.services * size.ports;
  return subject.kind === "keepalived" ? 60_000 + 5 * servers : 120_000 + 10 * servers;
}

/** How long one change may take. */
export const CHANGE_LIMIT_MS = 60_000;

/** Six digits, so that a line of a thousand samples is short enough for every console. */
function rounded(value: number): number {
  return Number(value.toPrecision(6));
}
