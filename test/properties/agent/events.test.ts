import fc from "fast-check";
import { expect, test } from "vitest";
import { EVENT_LIMITS } from "../../../src/events/event-correlator.ts";
import { EventRecorder } from "../../../src/events/event-recorder.ts";
import type { EventRecord } from "../../../src/model/cluster/event-record.ts";
import { ApiModel } from "../../support/api/api-model.ts";
import type { ApiEvent } from "../../support/api/event-registry.ts";
import { HandClock } from "../../support/api/worlds/hand-clock.ts";
import { type Fault, ModelTransport } from "../../support/api/worlds/model-transport.ts";
import { SILENT_LOGGER } from "../../support/api/worlds/silent-logger.ts";
import { aboutNode, aboutService } from "../../support/objects/event-records.ts";

const { STRESS = "1" } = process.env;
const RUNS = 300 * Number(STRESS);
const HOUR_MS = 3_600_000;

type Act =
  | { readonly kind: "tell"; readonly which: number; readonly times: number }
  | { readonly kind: "pass"; readonly ms: number }
  /** The wall clock is set. */
  | { readonly kind: "step"; readonly ms: number }
  | { readonly kind: "expire" }
  | { readonly kind: "break"; readonly faults: readonly Fault[] };

const fault = fc.oneof(
  fc.constant<Fault>({ kind: "refuse" }),
  fc.constant<Fault>({ kind: "no-answer" }),
  fc.constantFrom(429, 500, 503).map((status): Fault => ({ kind: "answer", status, body: "no" })),
  fc.constant<Fault>({ kind: "unheard" }),
);

const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("tell" as const),
      which: fc.nat(29),
      times: fc.integer({ min: 1, max: 5 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("pass" as const), ms: fc.integer({ min: 1, max: 100_000 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("pass" as const), ms: fc.integer({ min: 1, max: HOUR_MS }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("step" as const), ms: fc.constantFrom(7_200_013, -7_200_013) }),
  },
  { weight: 1, arbitrary: fc.constant<Act>({ kind: "expire" }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("break" as const), faults: fc.array(fault, { maxLength: 4 }) }),
  },
);

/** A recorder in front of an API server whose Events expire, and all Events that the server ever stored. */
class EventWorld {
  readonly clock = new HandClock();
  readonly #model = new ApiModel(new HandClock());
  readonly #transport = new ModelTransport(this.#model);
  readonly #stop = new AbortController();
  readonly #expired: ApiEvent[] = [];
  readonly #running: Promise<void>;
  readonly writer: EventRecorder;
  readonly faults: (Fault | undefined)[] = [];
  /** The times of the write requests. */
  readonly writtenAtMs: number[] = [];
  /** The number of repetitions. */
  readonly told = new Map<EventRecord, number>();

  constructor(random: number) {
    this.#transport.fault = ({ method }) => {
      if (method === "GET") return undefined;
      this.writtenAtMs.push(this.clock.now());
      return this.faults.shift();
    };
    const parts = { clock: this.clock, random: () => random, logger: SILENT_LOGGER };
    this.writer = new EventRecorder("node-1", parts);
    this.#running = this.writer.run(this.#transport, this.#stop.signal);
  }

  async perform(one: Act, events: readonly EventRecord[]): Promise<void> {
    switch (one.kind) {
      case "tell":
        await this.#tell(events[one.which % events.length], one.times);
        return;
      case "pass":
        await this.clock.advance(one.ms);
        return;
      case "step":
        this.clock.stepWall(one.ms);
        return;
      case "expire":
        this.#expired.push(...this.#model.events.events.values());
        this.#model.events.expire();
        return;
      case "break":
        // Then one succeeds: the recorder gives up after ten failures in a row.
        this.faults.push(...one.faults, undefined);
    }
  }

  async #tell(event: EventRecord | undefined, times: number): Promise<void> {
    if (event === undefined) return;
    for (let time = 0; time < times; time++) {
      this.writer.record(event);
      this.told.set(event, (this.told.get(event) ?? 0) + 1);
      await this.clock.advance(1);
    }
  }

  /** Ends all faults, lets the recorder finish, and stops. */
  async calm(): Promise<void> {
    this.faults.length = 0;
    await this.clock.advance(HOUR_MS);
    this.#stop.abort();
    await this.#running;
  }

  /** Every Event that ever existed, in its last state; an Event created again under its name counts once. */
  get events(): readonly ApiEvent[] {
    const byName = new Map<string, ApiEvent>();
    for (const event of [...this.#expired, ...this.#model.events.events.values()]) {
      const before = byName.get(event.metadata.name);
      if (before === undefined || countOf(event) >= countOf(before)) byName.set(event.metadata.name, event);
    }
    return [...byName.values()];
  }
}

function countOf({ series }: ApiEvent): number {
  return series?.count ?? 1;
}

function isUnheard(acts: readonly Act[]): boolean {
  return acts.some((one) => one.kind === "break" && one.faults.some(({ kind }) => kind === "unheard"));
}

const script = fc.record({ acts: fc.array(act, { maxLength: 30 }), random: fc.constantFrom(0, 0.5, 0.99) });

test("every event of a node is counted in an Event, even if requests fail and Events expire", async () => {
  const events = ["a", "b", "c", "d", "e"].map((note) => aboutNode("node-1", note));
  await fc.assert(
    fc.asyncProperty(script, async ({ acts, random }) => {
      const world = new EventWorld(random);
      for (const one of acts) await world.perform(one, events);
      await world.calm();
      for (const event of events) {
        const counted = world.events
          .filter(({ note }) => note === event.note)
          .reduce((sum, one) => sum + countOf(one), 0);
        const told = world.told.get(event) ?? 0;
        expect(counted).toBeGreaterThanOrEqual(told);
        // An Event that was created without our knowledge and has expired is written again.
        if (!isUnheard(acts)) expect(counted).toBe(told);
      }
      expect(world.writer.counts).toMatchObject({ dropped: 0, failed: 0 });
    }),
    { numRuns: RUNS },
  );
});

test("requests to the server never exceed the limits, for any events", async () => {
  const tells = fc.array(fc.record({ kind: fc.constant("tell" as const), which: fc.nat(29), times: fc.constant(1) }));
  const flood = fc.record({ acts: fc.tuple(tells, fc.array(act), tells), random: fc.constantFrom(0, 0.99) });
  const events = Array.from({ length: 15 }, (_, index) => [
    aboutNode(`n-${index}`),
    aboutService(`a/s-${index}`),
  ]).flat();
  await fc.assert(
    fc.asyncProperty(flood, async ({ acts, random }) => {
      const world = new EventWorld(random);
      for (const one of acts.flat()) await world.perform(one, events);
      await world.calm();
      const { burst, refillMs } = EVENT_LIMITS;
      const at = world.writtenAtMs;
      at.forEach((fromMs, first) => {
        at.slice(first).forEach((toMs, index) => {
          expect(index + 1).toBeLessThanOrEqual(burst + Math.floor((toMs - fromMs) / refillMs));
        });
      });
    }),
    { numRuns: RUNS },
  );
});

test("an invalid object has at most one Event for each problem at any time", async () => {
  const events = ["a", "b", "c"].map((note) => aboutService("shop/web", note));
  await fc.assert(
    fc.asyncProperty(script, async ({ acts, random }) => {
      const world = new EventWorld(random);
      for (const one of acts) await world.perform(one, events);
      await world.calm();
      const told = [...world.told.keys()].map(({ note }) => note);
      expect(world.events.map(({ note }) => note).toSorted()).toEqual(told.toSorted());
    }),
    { numRuns: RUNS },
  );
});
