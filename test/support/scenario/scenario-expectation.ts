import { expect } from "vitest";
import { differences } from "../../../src/commands/dry-run/differences.ts";
import { renderPlanText } from "../../../src/commands/dry-run/plan.ts";
import type { DesiredStateBuilder } from "../../../src/desired/desired-state-builder.ts";
import type { Observed } from "../../../src/kernel/kernel.ts";
import { type Problem, problemFields } from "../../../src/model/cluster/problem.ts";
import type { VipBinding } from "../../../src/model/vip-binding.ts";
import { identityOf, type Standing } from "./scenario-reports.ts";

/** All that a file to expect is compared with. */
export interface Outcome {
  /** A plan made anew of all objects, whatever the agent has seen before. */
  readonly plan: DesiredStateBuilder;
  /** The kernel as it says itself, and as its witness does. */
  readonly observed: Observed;
  readonly binding: VipBinding;
  readonly witnessed: readonly string[];
  /** What is wrong with the objects, */
  readonly broken: readonly Problem[];
  /** and what was wrong with them before as well. Of what is mended nothing is logged. */
  readonly everBroken: readonly Problem[];
  /** What the agent has logged and not withdrawn. */
  readonly standing: Standing;
}

/** Fails, naming the line of the step, unless the plan, the kernel, the log of the agent and the text agree. */
export function expectOutcome(text: string, outcome: Outcome, line: number): void {
  const said = text.split("\n").filter((other) => other !== "" && !other.startsWith("#"));
  const plan = planLines(outcome.plan, outcome.binding);
  const kernel = outcome.witnessed.toSorted();
  for (const kind of KINDS) expectKind(kind, said, { plan, kernel }, line);
  const all = {
    binding: outcome.binding,
    server: () => true,
    address: () => true,
    entry: () => true,
    drains: () => false,
  };
  const diff = differences(outcome.plan.desired, outcome.observed, all).map(({ line: text }) => text);
  expect(diff.length === 0, `diff, line ${line}: ${diff.join("; ")}`).toBe(plan.join("\n") === kernel.join("\n"));
  const saidOf = (word: string) => said.filter((other) => other.startsWith(`${word} `)).sort();
  expect(conflictLines(outcome.plan), `conflicts, line ${line}`).toEqual(saidOf("conflict"));
  expect(outcome.standing.failing, `failing, line ${line}`).toEqual(saidOf("failing"));
  expectProblems(outcome, saidOf("rejected"), line);
}

/** Where the text does not mention the kind, plan and kernel must agree. */
function expectKind(
  kind: Kind,
  said: readonly string[],
  { plan, kernel }: Readonly<Record<"plan" | "kernel", readonly string[]>>,
  line: number,
): void {
  const ofKind = (lines: readonly string[]) => lines.filter((other) => kindOf(other) === kind);
  if (kind !== "server" && !said.some((other) => kindOf(other.replace(/^(kernel|plan|no) /, "")) === kind)) {
    expect(ofKind(kernel), `kernel against plan, ${kind}, line ${line}`).toEqual(ofKind(plan));
    return;
  }
  expect(ofKind(plan), `plan, ${kind}, line ${line}`).toEqual(ofKind(linesMarked(said, "plan")));
  expect(ofKind(kernel), `kernel, ${kind}, line ${line}`).toEqual(ofKind(linesMarked(said, "kernel")));
}

/** The agent has logged what is wrong with objects, and of what they do not get here all that stands. */
function expectProblems(outcome: Outcome, said: readonly string[], line: number): void {
  const { standing } = outcome;
  const [broken, everBroken] = [outcome.broken.map(problemFields), outcome.everBroken.map(problemFields)];
  const here = outcome.plan.problems.all().map(problemFields);
  const fields = [...broken, ...here].filter(({ field }) => field !== "");
  const lines = fields.map(({ object, field }) => `rejected ${object} ${field}`).sort();
  expect(lines, `rejected, line ${line}`).toEqual(said);
  const ofObjects = new Set(everBroken.map(identityOf));
  const logged = standing.problems.map(identityOf);
  const missing = broken.map(identityOf).filter((identity) => !logged.includes(identity));
  expect(missing, `problems that are not in the log, line ${line}`).toEqual([]);
  expect(logged.filter((identity) => !ofObjects.has(identity)).sort(), `problems in the log, line ${line}`).toEqual(
    here.map(identityOf).sort(),
  );
}

type Kind = "server" | "address" | "route" | "entry" | "node entry";
const KINDS: readonly Kind[] = ["server", "address", "route", "entry", "node entry"];
/** Members that are the node's own, wanted by no Service. */
const OF_NODE = /^entry KUBE-(6-)?(NODE-PORT-IPS|SERVICE-CIDR) /;

function kindOf(line: string): Kind | undefined {
  if (/^-[Aa] /.test(line)) return "server";
  if (OF_NODE.test(line)) return "node entry";
  return KINDS.find((kind) => kind !== "server" && (line.startsWith(`${kind} `) || line === kind));
}

/** Unmarked lines, and those with the mark, without it; sorted. */
function linesMarked(said: readonly string[], mark: string): readonly string[] {
  const without = said.map((line) => (line.startsWith(`${mark} `) ? line.slice(mark.length + 1) : line));
  return without.filter((line) => kindOf(line) !== undefined).sort();
}

/** What the text of the plan says of virtual servers, addresses and members, in the words of a scenario. */
function planLines(proxy: DesiredStateBuilder, binding: VipBinding): readonly string[] {
  const { facts, desired } = proxy;
  const { nodeName: node, families } = facts;
  const text = renderPlanText({ node, families, desired, binding, rules: {}, rejected: [] });
  const words = text.split("\n").flatMap((line) => {
    if (/^-[Aa] /.test(line)) return [line];
    const bound = /^address add (\S+)\/\d+ dev kube-ipvs0$/.exec(line);
    if (bound !== null) return [`address ${bound[1]}`];
    const routed = /^route add local (\S+)\/\d+ dev lo table local proto 173 metric 173$/.exec(line);
    if (routed !== null) return [`route ${routed[1]}`];
    return line.startsWith("add ") ? [line.replace("add ", "entry ")] : [];
  });
  return words.sort();
}

function conflictLines(proxy: DesiredStateBuilder): readonly string[] {
  const losers = Map.groupBy(proxy.desired.conflicts(), ({ key, owner: holder }) => `conflict ${key} ${holder}`);
  return [...losers].map(([text, all]) => [text, ...all.map(({ shadowed: loser }) => loser).sort()].join(" ")).sort();
}
