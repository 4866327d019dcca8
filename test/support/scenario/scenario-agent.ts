import { setImmediate } from "node:timers/promises";
import { Registry } from "prom-client";
import { Agent } from "../../../src/agent.ts";
import type { Config } from "../../../src/config/config.ts";
import { DUMMY_NAME } from "../../../src/kernel/link/client.ts";
import type { AddressChange } from "../../../src/kernel/link/monitor.ts";
import type { IPAddress, IPFamily } from "../../../src/model/address.ts";
import type { Problem } from "../../../src/model/cluster/problem.ts";
import { Metrics } from "../../../src/serve/metrics/metrics.ts";
import type { ClusterEvent } from "../../../src/services/cluster-event.ts";
import type { HandClock } from "../api/worlds/hand-clock.ts";
import { address } from "../objects/desired.ts";
import type { Activity } from "../time/activity.ts";
import type { ScenarioReports } from "./scenario-reports.ts";
import { type ScenarioCluster, ScenarioSource } from "./scenario-source.ts";
import type { ScriptedKernel } from "./scripted-kernel.ts";

/** For how long an agent collects address changes. */
const COLLECT_MS = 20;
/** An address that no scenario uses. */
const STRANGE = address("192.88.99.99");
/** Between two resyncs that external changes cause. */
const RESYNC_REST_MS = 1_000;

/** The environment in which agents run, one after the other. */
export interface ScenarioWorld {
  readonly config: Config;
  readonly families: readonly IPFamily[];
  readonly kernel: ScriptedKernel;
  readonly cluster: ScenarioCluster;
  readonly reports: ScenarioReports;
  readonly activity: Activity;
  /** Advances only while no activity is running. */
  readonly clock: HandClock;
}

/** The agent as it runs in the product, on a scripted kernel; without servers, rules and sysctls. */
export class ScenarioAgent implements AsyncDisposable {
  readonly source: ScenarioSource;
  readonly #world: ScenarioWorld;
  readonly #agent: Agent;
  readonly #stop = new AbortController();
  /** Settles when the agent has ended; rejects when a bug has ended it. */
  readonly #ended: Promise<unknown>;

  private constructor(world: ScenarioWorld) {
    const { config, families, kernel, cluster, reports, activity, clock } = world;
    const netlink = () => ({ sends: 0, messages: 0, errors: new Map() });
    this.#world = world;
    this.#agent = new Agent(config, () => ({ families, rules: {}, sysctls: [] }), {
      kernel,
      clock,
      logger: reports.loggerOfNext(),
      metrics: new Metrics({ registry: new Registry(), families, marks: 255, clock, netlink }),
      nextTurn: () => activity.of(setImmediate()),
      missing: () => "",
      apiServers: () => [],
      onHealthChecks: () => {},
      recordEvent: (event) => reports.record(event),
      cpuMs: () => 0,
      random: () => 0.5,
    });
    const running = this.#agent.run(this.#stop.signal);
    const listener = {
      accept: (event: ClusterEvent) => this.#agent.accept(event),
      reject: (count: number, fresh: readonly Problem[]) => this.#agent.reject(count, fresh),
    };
    this.source = new ScenarioSource(config.nodeName, cluster, listener, this.#stop.signal);
    this.#ended = Promise.all([running, this.source.finished]);
  }

  /** Resolves when the first lists are programmed. */
  static async start(world: ScenarioWorld): Promise<ScenarioAgent> {
    const agent = new ScenarioAgent(world);
    await agent.pass(0);
    return agent;
  }

  /** Advances the clock, and the agent does all work that comes due. Rejects when a bug ends the agent. */
  async pass(ms: number): Promise<void> {
    await Promise.race([this.#world.clock.advance(ms), this.#ended]);
  }

  /** The interfaces of the node have these addresses from now on, and the kernel reports the changes. */
  async moveTo(before: readonly IPAddress[], after: readonly IPAddress[]): Promise<void> {
    const report = (kind: AddressChange["kind"]) => (changed: IPAddress) =>
      this.#agent.onAddressChange({ kind, link: "eth0", address: changed });
    after.filter((candidate) => !before.includes(candidate)).forEach(report("appeared"));
    before.filter((candidate) => !after.includes(candidate)).forEach(report("vanished"));
    await this.pass(COLLECT_MS);
  }

  /** The kernel reports an external change of kube-ipvs0, which causes a resync. */
  async resync(): Promise<void> {
    this.#agent.onAddressChange({ kind: "appeared", link: DUMMY_NAME, address: STRANGE });
    await this.pass(RESYNC_REST_MS);
  }

  /** The reason why the agent is not ready; "" when it is ready. */
  unreadiness(): string {
    const { reason = "" } = JSON.parse(this.#agent.probe("readyz").body);
    return String(reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }
}
