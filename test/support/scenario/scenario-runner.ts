import { expect } from "vitest";
import { parseAllDocuments } from "yaml";
import { type Config, readConfig } from "../../../src/config/config.ts";
import { DesiredStateBuilder } from "../../../src/desired/desired-state-builder.ts";
import type { Kernel } from "../../../src/kernel/kernel.ts";
import type { IPAddress } from "../../../src/model/address.ts";
import { nodeFacts } from "../../../src/node/node-facts.ts";
import { apiServers } from "../../../src/node/reserved-addresses.ts";
import { HandClock } from "../api/worlds/hand-clock.ts";
import { nodeObject } from "../objects/builders.ts";
import { Activity } from "../time/activity.ts";
import { parseMeddling } from "../worlds/meddle.ts";
import type { Scenario, Step } from "./scenario.ts";
import { ScenarioAgent, type ScenarioWorld } from "./scenario-agent.ts";
import { expectOutcome } from "./scenario-expectation.ts";
import { differences, ScenarioReports } from "./scenario-reports.ts";
import { ScenarioCluster, type ScenarioSource } from "./scenario-source.ts";
import { ScriptedKernel } from "./scripted-kernel.ts";

/** A kernel to run scenarios on, and an independent witness of what it holds. */
export interface Stage {
  readonly kernel: Kernel;
  /** Lines as in a file to expect: virtual and real servers, `address …`, `entry …`; in any order. */
  readonly observeText: () => Promise<readonly string[]>;
}

/** Runs all steps with the agent of the product; time passes only in the steps that say so. */
export async function runScenario(scenario: Scenario, stage: Stage): Promise<void> {
  await using run = new Run(scenario, stage);
  for (const step of scenario.steps) await run.step(step);
}

class Run implements AsyncDisposable {
  readonly #scenario: Scenario;
  readonly #stage: Stage;
  readonly #world: ScenarioWorld;
  readonly #reports = new ScenarioReports();
  #addresses: readonly IPAddress[] = [];
  #agent: ScenarioAgent | undefined;
  #writes = 0;

  constructor(scenario: Scenario, stage: Stage) {
    const activity = new Activity();
    this.#scenario = scenario;
    this.#stage = stage;
    this.#world = {
      config: configOf(scenario),
      families: scenario.options.families,
      kernel: new ScriptedKernel(stage.kernel, activity),
      cluster: new ScenarioCluster(),
      reports: this.#reports,
      activity,
      clock: new HandClock(() => activity.rest()),
    };
  }

  async step(step: Step): Promise<void> {
    const { kernel } = this.#world;
    switch (step.kind) {
      case "node":
        return this.#moveNode(step);
      case "apply":
        return this.#change(step.file, "put");
      case "delete":
        return this.#change(step.file, "remove");
      case "expect":
        return this.#expect(step.file === "nothing" ? "no address\nno entry" : this.#scenario.file(step.file), step);
      case "expect-log":
        return this.#expectLines(step, this.#reports.takeLines(), ["WARN ", "ERROR "]);
      case "expect-event":
        return this.#expectLines(step, this.#reports.takeEvents(), ["Warning "]);
      case "expect-readiness":
        return this.#expectReadiness(step);
      case "wrote":
        expect(kernel.asked - this.#writes, `operations, line ${step.line}`).toBe(step.operations);
        this.#writes = kernel.asked;
        return;
      case "connect":
        return kernel.connect(step.server, step.real, step.connections);
      case "fail":
        return kernel.failOperations({ errno: step.errno, kind: step.operation, object: step.object });
      case "allow":
        return kernel.allow();
      case "wait":
        return (await this.#running()).pass(step.seconds * 1000);
      case "meddle":
        return this.#meddle(this.#scenario.file(step.file));
      case "resync":
        return (await this.#running()).resync();
      case "restart":
        await this.#agent?.[Symbol.asyncDispose]();
        this.#agent = await this.#start();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent?.[Symbol.asyncDispose]();
  }

  async #running(): Promise<ScenarioAgent> {
    this.#agent ??= await this.#start();
    return this.#agent;
  }

  #start(): Promise<ScenarioAgent> {
    this.#world.kernel.missingSchedulers.clear();
    return ScenarioAgent.start(this.#world);
  }

  async #moveNode({ name, zone, ips }: Step & { readonly kind: "node" }): Promise<void> {
    const before = this.#addresses;
    this.#addresses = ips;
    this.#world.kernel.setNodeAddresses(ips);
    // The interfaces may have more addresses than the Node object has.
    const node = this.#world.cluster.put(nodeObject(name, { zone, ips: ips.slice(0, 1) }));
    if (this.#agent === undefined) return;
    await this.#agent.moveTo(before, ips);
    this.#agent.source.put(node);
    await this.#agent.pass(0);
  }

  /** Changes the cluster by all objects of a file, and passes them to the running agent. */
  async #change(file: string, how: "put" | "remove"): Promise<void> {
    const { cluster } = this.#world;
    for (const document of parseAllDocuments(this.#scenario.file(file))) {
      const object = cluster[how](document.toJS());
      this.#agent?.source[how](object);
    }
    await (await this.#running()).pass(0);
  }

  async #meddle(text: string): Promise<void> {
    await this.#running();
    for (const operation of parseMeddling(text)) {
      const [outcome] = await this.#stage.kernel.apply([operation]);
      expect(outcome, `meddling: ${JSON.stringify(operation)}`).toEqual({ ok: true });
    }
  }

  async #expect(text: string, { line }: Step): Promise<void> {
    const { source } = await this.#running();
    const outcome = {
      plan: this.#plan(source),
      observed: await this.#world.kernel.observe("all"),
      binding: this.#scenario.options.vipBinding,
      witnessed: await this.#stage.observeText(),
      broken: source.problems(),
      everBroken: source.everRejected(),
      standing: this.#reports.standing(),
    };
    expectOutcome(text, outcome, line);
  }

  /** The desired state computed from all objects at once, in another order than the agent received them. */
  #plan(source: ScenarioSource): DesiredStateBuilder {
    const { config, families, kernel } = this.#world;
    const factsOf = (plan: DesiredStateBuilder | undefined) =>
      nodeFacts(config, families, {
        nodes: plan?.table.nodes() ?? [],
        addresses: this.#addresses,
        apiServers: plan === undefined ? [] : apiServers(plan.table, []),
        missingSchedulers: [...kernel.missingSchedulers],
      });
    const plan = new DesiredStateBuilder(factsOf(undefined));
    for (const event of [...source.inForce()].reverse()) plan.apply(event);
    plan.setFacts(factsOf(plan));
    plan.advance(Number.POSITIVE_INFINITY);
    return plan;
  }

  async #expectLines(
    { file, line }: Step & { readonly kind: "expect-log" | "expect-event" },
    lines: readonly string[],
    always: readonly string[],
  ): Promise<void> {
    const text = file === "nothing" ? "" : this.#scenario.file(file);
    const expected = text.split("\n").filter((other) => other !== "" && !other.startsWith("#"));
    expect(differences(expected, lines, always), `line ${line}, of\n${lines.join("\n")}`).toEqual([]);
  }

  async #expectReadiness({ reason, line }: Step & { readonly kind: "expect-readiness" }): Promise<void> {
    const unreadiness = (await this.#running()).unreadiness();
    expect(reason === "" ? unreadiness : unreadiness.slice(0, reason.length), `readiness, line ${line}`).toBe(reason);
  }
}

function configOf({ options, steps }: Scenario): Config {
  const node = steps.find((step) => step.kind === "node");
  const given = (text: string) => ({ source: "option", text });
  const { config, problems } = readConfig({
    nodeName: given(node?.name ?? ""),
    scheduler: given(options.scheduler),
    excludeCidrs: given(options.excludeCIDRs.join(",")),
    drainTimeoutMs: given(`${options.drainTimeoutSeconds}s`),
    vipBinding: given(options.vipBinding),
  });
  if (problems.length > 0) throw new Error(problems.join("; "));
  return config;
}
