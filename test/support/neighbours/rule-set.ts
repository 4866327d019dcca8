import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import type { Host, TestNode } from "../node/netns.ts";
import { eventually } from "../time/eventually.ts";
import { IN_VAIN } from "../traffic/answers.ts";
import type { Answers } from "../traffic/client.ts";
import type { Neighbour } from "./neighbour.ts";
import { flushTables, restoreTables } from "./tables.ts";

const FOLDER = join(import.meta.dirname, "rule-sets");
/** The jump that the agent writes last. */
const LAST_JUMP = "-j KUBE-IPVS-ACCEPT";
const BUILT_IN = /^(PREROUTING|INPUT|FORWARD|OUTPUT|POSTROUTING)$/;

/** One request, and its expected result as `outcomeOf` writes it. */
export interface Effect {
  readonly what: string;
  readonly from: Host;
  readonly to: string;
  readonly port: number;
  readonly protocol?: "tcp" | "udp";
  /** By default any. */
  readonly fromPort?: number;
  readonly result: string;
}

export interface RuleSetSpec {
  /** The file in `rule-sets/`. */
  readonly file: string;
  readonly effects: (node: TestNode) => readonly Effect[];
  /** Whether a start and a reload empty all tables, also of other programs, and leave it to these to fill them again. */
  readonly flushesAll?: boolean;
  /** Whether its rules stand behind the last jump of the agent until the next resync; always so with `flushesAll`. */
  readonly needsResync?: boolean;
}

/**
 * A neighbour that is known by its iptables rules. Its file is the input of `iptables-restore --noflush` and of
 * `ip6tables-restore --noflush`; a line with `-4` or `-6` behind its chain is for one family only. As the programs do it, a
 * reload empties and fills the chains of the neighbour and puts its jumps to the place where a start puts them.
 */
export class RuleSet implements Neighbour {
  readonly #spec: RuleSetSpec;

  constructor(spec: RuleSetSpec) {
    this.#spec = spec;
  }

  async layOut(node: TestNode): Promise<void> {
    await this.#write(node, startText);
  }

  async reload(node: TestNode): Promise<void> {
    await this.#write(node, this.#spec.flushesAll === true ? startText : reloadText);
  }

  async remove(node: TestNode): Promise<void> {
    await restoreTables(node, "--noflush", this.#tables().map(removalText));
  }

  async #write(node: TestNode, text: (table: Table) => string): Promise<void> {
    const { flushesAll = false, needsResync = flushesAll } = this.#spec;
    const hasAgent = (await node.prints("iptables-save -t filter")).includes(LAST_JUMP);
    if (flushesAll) await flushTables(node);
    await restoreTables(node, "--noflush", this.#tables().map(text));
    if (hasAgent && needsResync) await agentIsLast(node);
  }

  async expectEffect(node: TestNode): Promise<void> {
    await expectEffects(node, this.#spec.effects(node));
  }

  #tables(): readonly Table[] {
    const text = readFileSync(join(FOLDER, this.#spec.file), "utf8");
    return text.split(/^COMMIT$/m).flatMap((part) => {
      const lines = part.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
      const [head, ...rest] = lines;
      return head === undefined ? [] : [{ head, lines: rest }];
    });
  }
}

/** Resolves when the agent has written its last jump, and to the end of INPUT. */
async function agentIsLast(node: TestNode): Promise<void> {
  for (const save of ["iptables-save", "ip6tables-save"])
    await eventually(
      async () => {
        const rules = (await node.prints(`${save} -t filter`)).split("\n");
        expect(rules.findLast((line) => line.startsWith("-A INPUT "))).toContain(LAST_JUMP);
      },
      { withinMs: 20_000, everyMs: 200 },
    );
}

/** Throws unless each request has its result. */
export async function expectEffects(node: TestNode, effects: readonly Effect[]): Promise<void> {
  // Each client process makes one request at a time: more of them cost more than they save, unless they only wait.
  const inVain = effects.filter(({ result }) => result === "timeout").map((effect) => outcomesOf(node, [effect]));
  const others = outcomesOf(
    node,
    effects.filter(({ result }) => result !== "timeout"),
  );
  const seen = (await Promise.all([...inVain, others])).flat();
  expect(Object.fromEntries(seen)).toEqual(Object.fromEntries(effects.map(({ what, result }) => [what, result])));
}

async function outcomesOf(node: TestNode, effects: readonly Effect[]): Promise<readonly [string, string][]> {
  const outcomes: [string, string][] = [];
  for (const effect of effects) outcomes.push([effect.what, await outcomeOf(node, effect)]);
  return outcomes;
}

/** Returns "POD as CLIENT" for an answer, else the error of the client: "timeout", "refused", "unreachable" or an errno. */
async function outcomeOf(
  node: TestNode,
  { from, to, port, protocol = "tcp", fromPort, result }: Effect,
): Promise<string> {
  const options = { ...(result === "timeout" ? IN_VAIN : {}), ...(fromPort === undefined ? {} : { fromPort }) };
  const { answers, clients, errors }: Answers = await node.client(from).request(protocol, to, port, 1, options);
  const [answer] = Object.keys(answers);
  return answer === undefined ? Object.keys(errors).join() : `${answer} as ${Object.keys(clients).join()}`;
}

interface Table {
  /** As "*filter". */
  readonly head: string;
  /** Chains and rules. */
  readonly lines: readonly string[];
}

function startText({ head, lines }: Table): string {
  return [head, ...lines, "COMMIT"].join("\n");
}

function reloadText({ head, lines }: Table): string {
  return [head, ...deletions(lines), ...lines, "COMMIT"].join("\n");
}

function removalText({ head, lines }: Table): string {
  const own = lines.filter((line) => line.startsWith(":")).map((line) => line.slice(1).split(" ")[0] ?? "");
  const chains = own.filter((name) => !BUILT_IN.test(name));
  const policies = own.filter((name) => BUILT_IN.test(name)).map((name) => `:${name} ACCEPT [0:0]`);
  return [
    head,
    ...policies,
    ...chains.map((name) => `:${name} - [0:0]`),
    ...deletions(lines),
    ...chains.map((name) => `-X ${name}`),
    "COMMIT",
  ].join("\n");
}

/** Returns the lines that delete the rules in built-in chains. */
function deletions(lines: readonly string[]): readonly string[] {
  return lines.flatMap((line) => {
    const [, chain = "", rule = ""] = /^-[AI] (\S+) (?:1 )?(.*)$/.exec(line) ?? [];
    return BUILT_IN.test(chain) ? [`-D ${chain} ${rule}`] : [];
  });
}
