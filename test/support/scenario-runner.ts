import { expect } from "vitest";
import { parseAllDocuments } from "yaml";
import type { NodeFacts } from "../../src/desired/node-facts.ts";
import { diffPlan, renderPlanText } from "../../src/desired/plan.ts";
import { ProxyState } from "../../src/desired/proxy-state.ts";
import { reservedAddresses } from "../../src/desired/vip-guard.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import type { Scheduler } from "../../src/model/ipvs.ts";
import type { Rejection } from "../../src/model/service.ts";
import { serviceName, sliceName } from "../../src/model/service.ts";
import { describeFailure, type FailedOperation } from "../../src/reconcile/failed-operation.ts";
import { subjectOf } from "../../src/reconcile/key-set.ts";
import { Reconciler } from "../../src/reconcile/reconciler.ts";
import { decodeService } from "../../src/services/decode-service.ts";
import { decodeEndpointSlice } from "../../src/services/decode-slice.ts";
import type { ClusterEvent } from "../../src/services/events.ts";
import { field, identityOf } from "../../src/services/object-reader.ts";
import { network } from "./desired.ts";
import { parseMeddling } from "./meddle.ts";
import type { Scenario, ScenarioOptions, Step } from "./scenario.ts";
import { ScriptedKernel } from "./scripted-kernel.ts";

/** A kernel to run scenarios on, and an independent witness of what it holds. */
export interface Stage {
  readonly kernel: Kernel;
  /** Lines as in a file to expect: virtual and real servers, `address …`, `entry …`; in any order. */
  readonly observeText: () => Promise<readonly string[]>;
}

/** Runs all steps. At each `expect` the plan, the kernel as its witness tells, and the text written by hand must agree. */
export async function runScenario(scenario: Scenario, stage: Stage): Promise<void> {
  const run = new Run(scenario, stage);
  for (const step of scenario.steps) await run.step(step);
}

/** What the API server would hold, told as events; and what is wrong with it. */
interface Told {
  readonly event: ClusterEvent | undefined;
  readonly rejections: readonly Rejection[];
}

class Run {
  readonly #scenario: Scenario;
  readonly #stage: Stage;
  readonly #kernel: ScriptedKernel;
  readonly #objects = new Map<string, Told>();
  readonly #clock = { nowMs: 1_700_000_000_000 };
  #facts: NodeFacts;
  #agent: Agent | undefined;
  #writes = 0;

  constructor(scenario: Scenario, stage: Stage) {
    this.#scenario = scenario;
    this.#stage = stage;
    this.#kernel = new ScriptedKernel(stage.kernel);
    this.#facts = {
      nodeName: "",
      zone: "",
      families: scenario.options.families,
      nodePortAddresses: [],
      healthCheckAddresses: [],
      reserved: new Map(),
      ownAddresses: [],
      apiServers: [],
      podNetworks: [],
      localMarkMask: 0x107f,
      missingSchedulers: [],
      scheduler: scenario.options.scheduler as Scheduler, // any word is one: the kernel alone knows them
    };
  }

  async step(step: Step): Promise<void> {
    switch (step.kind) {
      case "node":
        this.#facts = {
          ...this.#facts,
          nodeName: step.name,
          zone: step.zone,
          nodePortAddresses: [...step.ips].sort(),
          reserved: reservedAddresses({ nodes: [], addresses: step.ips, apiServers: [] }, step.name, []),
          ownAddresses: [...step.ips].sort(),
        };
        return this.#agent?.setFacts(this.#facts);
      case "apply":
        return this.#tell(this.#documents(step.file).map((object) => this.#put(object)));
      case "delete":
        return this.#tell(this.#documents(step.file).map((object) => this.#remove(object)));
      case "expect":
        return this.#expect(step.file === "nothing" ? "no address\nno entry" : this.#scenario.file(step.file), step);
      case "wrote":
        expect(this.#kernel.asked - this.#writes, `operations, line ${step.line}`).toBe(step.operations);
        this.#writes = this.#kernel.asked;
        return;
      case "connect":
        return this.#kernel.connect(step.server, step.real, step.connections);
      case "refuse":
        return this.#kernel.refuse({ errno: step.errno, kind: step.operation, object: step.object });
      case "allow":
        return this.#kernel.allow();
      case "wait":
        return (await this.#running()).passTime(step.seconds * 1000);
      case "meddle":
        return this.#meddle(this.#scenario.file(step.file));
      case "look":
        return (await this.#running()).look();
      case "restart":
        this.#agent = await this.#start();
    }
  }

  async #running(): Promise<Agent> {
    this.#agent ??= await this.#start();
    return this.#agent;
  }

  async #start(): Promise<Agent> {
    const agent = new Agent(this.#scenario.options, this.#facts, this.#kernel, this.#clock);
    await agent.start(this.#events());
    return agent;
  }

  #events(): readonly ClusterEvent[] {
    return [...this.#objects.values()].flatMap(({ event }) => event ?? []);
  }

  async #tell(events: readonly (ClusterEvent | undefined)[]): Promise<void> {
    await (await this.#running()).tell(events.filter((event) => event !== undefined));
  }

  #documents(file: string): readonly unknown[] {
    return parseAllDocuments(this.#scenario.file(file)).map((document) => document.toJS() as unknown);
  }

  /** A broken object keeps its last good version in force. */
  #put(object: unknown): ClusterEvent | undefined {
    const key = objectKey(object);
    const { kind, event, rejections } = decode(object);
    const known = this.#objects.get(key);
    this.#objects.set(key, { event: kind === "broken" ? known?.event : event, rejections });
    return kind === "unwanted" ? deletion(object) : event;
  }

  #remove(object: unknown): ClusterEvent {
    this.#objects.delete(objectKey(object));
    return deletion(object);
  }

  async #meddle(text: string): Promise<void> {
    await this.#running();
    for (const operation of parseMeddling(text)) {
      const [outcome] = await this.#stage.kernel.apply([operation]);
      expect(outcome, `meddling: ${JSON.stringify(operation)}`).toEqual({ ok: true });
    }
  }

  async #expect(text: string, { line }: Step): Promise<void> {
    const running = await this.#running();
    const said = text.split("\n").filter((other) => other !== "" && !other.startsWith("#"));
    const fresh = new ProxyState(this.#facts);
    for (const event of [...this.#events()].reverse()) fresh.apply(event);
    fresh.advance(Number.POSITIVE_INFINITY);
    const plan = planLines(fresh);
    const kernel = [...(await this.#stage.observeText())].sort();
    const marked = (mark: string) => linesMarked(said, mark);
    for (const kind of KINDS) {
      if (kind !== "server" && !said.some((other) => kindOf(other.replace(/^(kernel|plan|no) /, "")) === kind)) {
        expect(kernel.filter(isKind(kind)), `kernel against plan, ${kind}, line ${line}`).toEqual(
          plan.filter(isKind(kind)),
        );
        continue;
      }
      expect(plan.filter(isKind(kind)), `plan, ${kind}, line ${line}`).toEqual(marked("plan").filter(isKind(kind)));
      expect(kernel.filter(isKind(kind)), `kernel, ${kind}, line ${line}`).toEqual(
        marked("kernel").filter(isKind(kind)),
      );
    }
    const all = { server: () => true, address: () => true, entry: () => true };
    const diff = diffPlan(running.proxy.desired, await this.#kernel.observe("all"), all);
    expect(diff.length === 0, `diff, line ${line}: ${diff.join("; ")}`).toBe(plan.join("\n") === kernel.join("\n"));
    expect(conflictLines(running.proxy), `conflicts, line ${line}`).toEqual(
      said.filter(startsWith("conflict ")).sort(),
    );
    expect(conflictLines(fresh), `conflicts of the plan, line ${line}`).toEqual(conflictLines(running.proxy));
    const wrong = [...this.#objects.values()].flatMap(({ rejections }) => rejections);
    const rejected = [...wrong, ...running.proxy.refused.all().filter(({ field }) => field !== "")];
    const rejectedLines = rejected.map(({ object, field: path }) => `rejected ${object} ${path}`).sort();
    expect(rejectedLines, `rejected, line ${line}`).toEqual(said.filter(startsWith("rejected ")).sort());
    expect([...running.failing.values()].flat().sort(), `failing, line ${line}`).toEqual(
      said.filter(startsWith("failing ")).sort(),
    );
  }
}

function failureLines(failure: FailedOperation): readonly string[] {
  const services = failure.services.length > 0 ? failure.services : ["node"];
  return services.map((service) => `failing ${service} ${describeFailure(failure)}`);
}

/** The agent without its sources and its timer. */
class Agent {
  readonly proxy: ProxyState;
  /** By their object, the failures whose beginning was reported and whose end was not, as lines. */
  readonly failing = new Map<string, readonly string[]>();
  readonly #reconciler: Reconciler;
  readonly #clock: { nowMs: number };

  constructor(options: ScenarioOptions, facts: NodeFacts, kernel: Kernel, clock: { nowMs: number }) {
    this.proxy = new ProxyState(facts);
    this.#clock = clock;
    this.#reconciler = new Reconciler(
      {
        nodeName: facts.nodeName,
        excludeCIDRs: options.excludeCIDRs.map(network),
        drainTimeoutMs: options.drainTimeoutSeconds * 1000,
        drainCheckMs: 10_000,
      },
      {
        kernel,
        desired: this.proxy.desired,
        clock: { now: () => clock.nowMs },
        prepare: async () => {
          await kernel.prepare({ families: options.families, rules: {}, sysctls: [] });
        },
        nextTurn: async () => {},
      },
    );
  }

  async start(events: readonly ClusterEvent[]): Promise<void> {
    await this.#reconciler.look();
    this.#take(events);
    this.#reconciler.open();
    await this.passTime(0);
  }

  async tell(events: readonly ClusterEvent[]): Promise<void> {
    this.#take(events);
    await this.passTime(0);
  }

  async setFacts(facts: NodeFacts): Promise<void> {
    this.proxy.setFacts(facts);
    await this.tell([]);
  }

  async look(): Promise<void> {
    await this.#reconciler.look();
    await this.passTime(0);
  }

  /** Flushes whenever something comes due; throws when it does not come to rest. */
  async passTime(ms: number): Promise<void> {
    const untilMs = this.#clock.nowMs + ms;
    for (let flushes = 0; this.#reconciler.workAtMs() <= untilMs; flushes++) {
      if (flushes === 1000) throw new Error("The agent does not come to rest");
      this.#clock.nowMs = Math.max(this.#clock.nowMs, this.#reconciler.workAtMs());
      const { failures } = await this.#reconciler.flush();
      for (const { operation } of failures.ended) this.failing.delete(subjectOf(operation).key);
      for (const failure of failures.begun) this.failing.set(subjectOf(failure.operation).key, failureLines(failure));
    }
    this.#clock.nowMs = untilMs;
  }

  #take(events: readonly ClusterEvent[]): void {
    for (const event of events) this.proxy.apply(event);
    for (const keys of this.proxy.advance(Number.POSITIVE_INFINITY)) this.#reconciler.mark(keys);
  }
}

type Kind = "server" | "address" | "entry" | "node entry";
const KINDS: readonly Kind[] = ["server", "address", "entry", "node entry"];
/** Members that are the node's own, wanted by no Service. */
const OF_NODE = /^entry KUBE-(6-)?(NODE-PORT-IPS|SERVICE-CIDR) /;

function kindOf(line: string): Kind | undefined {
  if (/^-[Aa] /.test(line)) return "server";
  if (OF_NODE.test(line)) return "node entry";
  return KINDS.find((kind) => kind !== "server" && (line.startsWith(`${kind} `) || line === kind));
}

function isKind(kind: Kind): (line: string) => boolean {
  return (line) => kindOf(line) === kind;
}

function startsWith(start: string): (line: string) => boolean {
  return (line) => line.startsWith(start);
}

/** Unmarked lines, and those with the mark, without it; sorted. */
function linesMarked(said: readonly string[], mark: string): readonly string[] {
  const without = said.map((line) => (line.startsWith(`${mark} `) ? line.slice(mark.length + 1) : line));
  return without.filter((line) => kindOf(line) !== undefined).sort();
}

/** What the text of the plan says of virtual servers, addresses and members, in the words of a scenario. */
function planLines(proxy: ProxyState): readonly string[] {
  const { facts, desired } = proxy;
  const text = renderPlanText({ node: facts.nodeName, families: facts.families, desired, rules: {}, rejected: [] });
  const words = text.split("\n").flatMap((line) => {
    if (/^-[Aa] /.test(line)) return [line];
    const bound = /^address add (\S+)\/\d+ dev kube-ipvs0$/.exec(line);
    if (bound !== null) return [`address ${bound[1]}`];
    return line.startsWith("add ") ? [line.replace("add ", "entry ")] : [];
  });
  return words.sort();
}

function conflictLines(proxy: ProxyState): readonly string[] {
  const losers = Map.groupBy(proxy.desired.conflicts(), ({ key, holder }) => `conflict ${key} ${holder}`);
  return [...losers].map(([text, all]) => [text, ...all.map(({ loser }) => loser).sort()].join(" ")).sort();
}

function objectKey(object: unknown): string {
  const { namespace = "", name = "" } = identityOf(object) ?? {};
  return `${String(field(object, "kind"))} ${namespace}/${name}`;
}

function decode(object: unknown): Told & { readonly kind: "wanted" | "unwanted" | "broken" } {
  if (field(object, "kind") === "Service") {
    const { kind, rejections, ...rest } = decodeService(object);
    return { kind, rejections, event: "value" in rest ? { kind: "service-upserted", service: rest.value } : undefined };
  }
  const { kind, rejections, ...rest } = decodeEndpointSlice(object);
  return { kind, rejections, event: "value" in rest ? { kind: "slice-upserted", slice: rest.value } : undefined };
}

function deletion(object: unknown): ClusterEvent {
  const { namespace = "", name = "" } = identityOf(object) ?? {};
  if (field(object, "kind") === "Service") return { kind: "service-deleted", name: serviceName(namespace, name) };
  return { kind: "slice-deleted", name: sliceName(namespace, name) };
}
