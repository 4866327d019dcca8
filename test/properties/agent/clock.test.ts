import fc from "fast-check";
import { expect, test } from "vitest";
import type { RealServerKey, VirtualServerKey } from "../../../src/model/kernel/ipvs.ts";
import { RunningAgent } from "../../support/worlds/running-agent.ts";

/** The wall clock is set by hours in both directions while the agent runs. This must have no effect. */

const { STRESS = "1" } = process.env;
const RUNS = 30 * Number(STRESS);
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

const SERVICES = ["a", "b", "c"] as const;
type Name = (typeof SERVICES)[number];
const vip = (name: Name) => `10.96.0.${SERVICES.indexOf(name) + 1}`;
const serverOf = (name: Name) => `TCP/${vip(name)}:80` as VirtualServerKey;
const realOf = (pod: number) => `10.244.1.${pod}:8080` as RealServerKey;

type Act =
  /** Sets the wall clock, at rest or within the n-th request to the kernel from now. */
  | { readonly kind: "step"; readonly ms: number; readonly atRequest: number }
  | { readonly kind: "pods"; readonly name: Name; readonly pods: readonly number[]; readonly madeMs: number }
  | { readonly kind: "gone"; readonly name: Name }
  | { readonly kind: "connect"; readonly name: Name; readonly pod: number; readonly active: number }
  | { readonly kind: "meddle"; readonly name: Name; readonly pod: number }
  /** Operations fail, the transport is lost, or the kernel does not answer. */
  | { readonly kind: "refuse" | "lose" | "fail-reads"; readonly times: number }
  | { readonly kind: "pass"; readonly ms: number };

const name = fc.constantFrom(...SERVICES);
const pod = fc.integer({ min: 1, max: 4 });
const step = fc.record({
  kind: fc.constant("step" as const),
  ms: fc.oneof(
    fc.constantFrom(2 * HOUR_MS, -2 * HOUR_MS, 20 * MINUTE_MS, -20 * MINUTE_MS),
    fc.integer({ min: -HOUR_MS, max: HOUR_MS }),
  ),
  atRequest: fc.nat(6),
});

const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 4, arbitrary: step },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("pods" as const),
      name,
      pods: fc.uniqueArray(pod),
      madeMs: fc.integer({ min: -5_000, max: 5_000 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("gone" as const), name }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("connect" as const), name, pod, active: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("meddle" as const), name, pod }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom("refuse", "lose", "fail-reads"),
      times: fc.integer({ min: 1, max: 9 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("pass" as const),
      ms: fc.oneof(fc.integer({ min: 1, max: 2_000 }), fc.integer({ min: 1, max: 16 * MINUTE_MS })),
    }),
  },
);

/** An agent under a script, and everything that is visible from outside except times. */
class ClockWorld {
  readonly agent = new RunningAgent();
  readonly pods = new Map<Name, readonly number[]>();
  readonly seen: unknown[] = [];
  readonly #steps: { left: number; readonly ms: number }[] = [];

  constructor() {
    this.agent.kernel.onRequest = () => {
      for (const step of this.#steps) if (step.left-- === 0) this.agent.clock.stepWall(step.ms);
    };
    this.agent.listed("services", "endpointslices", "nodes");
  }

  async perform(one: Act): Promise<void> {
    const { agent } = this;
    switch (one.kind) {
      case "step":
        if (one.atRequest === 0) agent.clock.stepWall(one.ms);
        else this.#steps.push({ left: one.atRequest, ms: one.ms });
        break;
      case "pods":
        this.#put(one.name, one.pods, one.madeMs);
        break;
      case "gone":
        this.pods.delete(one.name);
        agent.serviceGone(`shop/${one.name}`);
        break;
      case "connect":
        agent.kernel.setConnections(serverOf(one.name), realOf(one.pod), { active: one.active, inactive: 0 });
        break;
      case "meddle":
        this.#meddle(one.name, one.pod);
        break;
      case "refuse":
        agent.kernel.failOperations((operation) => operation.kind.endsWith("real-server"), "ENOMEM", one.times);
        break;
      case "lose":
        agent.kernel.loseTransportAfter(one.times);
        break;
      case "fail-reads":
        agent.kernel.failReads(one.times);
        break;
      case "pass":
        await agent.rest(one.ms);
    }
    await agent.rest();
    this.record();
  }

  #put(service: Name, pods: readonly number[], madeMs: number): void {
    const made = new Date(this.agent.clock.date().getTime() + madeMs).toISOString();
    this.pods.set(service, pods);
    this.agent.service(`shop/${service}`, { ip: vip(service) });
    this.agent.slice(`shop/${service}-1`, {
      addressType: "IPv4",
      endpoints: pods.map((number) => `10.244.1.${number}`),
      annotations: { "endpoints.kubernetes.io/last-change-trigger-time": made },
    });
  }

  /** Another program deletes a real server. */
  #meddle(service: Name, number: number): void {
    const actual = this.agent.kernel.servers().get(serverOf(service));
    const real = actual?.reals.get(realOf(number));
    if (actual && real) this.agent.kernel.meddle({ kind: "delete-real-server", server: actual.server, real });
  }

  record(): void {
    const { agent } = this;
    const answers = [agent.isAlive(), agent.isHealthy(), agent.isReady()];
    this.seen.push({ kernel: agent.kernel.ipvsadm(), asked: agent.kernel.asked.length, answers });
  }

  /** Ends all faults and lets drain limits pass. */
  async calm(): Promise<void> {
    this.agent.kernel.heal();
    await this.agent.rest(18 * MINUTE_MS);
    this.record();
  }

  /** The expected kernel state, computed without our code. */
  get expected(): string {
    return SERVICES.flatMap((service) => {
      const pods = this.pods.get(service);
      if (pods === undefined) return [];
      const at = `-t ${vip(service)}:80`;
      const reals = pods.toSorted().map((number) => `-a ${at} -r 10.244.1.${number}:8080 -m -w 1`);
      return [`-A ${at} -s rr`, ...reals];
    }).join("\n");
  }

  /** All our metrics except those that are times. */
  async metrics(): Promise<string> {
    const lines = (await this.agent.registry.metrics()).split("\n");
    return lines.filter((line) => /^(kube_ipvs|kubeproxy)/.test(line) && !/timestamp_seconds/.test(line)).join("\n");
  }
}

async function played(acts: readonly Act[]): Promise<{ readonly world: ClockWorld; readonly metrics: string }> {
  const world = new ClockWorld();
  await using _ = world.agent;
  await world.agent.rest();
  for (const one of acts) await world.perform(one);
  await world.calm();
  return { world, metrics: await world.metrics() };
}

test("an agent whose wall clock is set at any moment behaves as without that, and reaches the desired state", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(act, { maxLength: 25 }), async (acts) => {
      const still = await played(acts.map((one) => (one.kind === "step" ? { ...one, ms: 0 } : one)));
      const stepped = await played(acts);
      expect(stepped.world.seen).toEqual(still.world.seen);
      expect(stepped.metrics).toBe(still.metrics);
      expect(stepped.world.agent.kernel.ipvsadm()).toBe(stepped.world.expected);
      expect(stepped.world.seen.at(-1)).toMatchObject({ answers: [true, true, true] });
    }),
    { numRuns: RUNS },
  );
});
