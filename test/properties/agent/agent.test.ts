import fc from "fast-check";
import { expect, test } from "vitest";
import { HOSTILE_KINDS } from "../../support/hostile/hostile-objects.ts";
import { cases } from "../../support/run/cases.ts";
import { WorkCounter } from "../../support/time/work-counter.ts";
import type { Act, Incident } from "../../support/worlds/agent-world.ts";

/** Started before the product's code is loaded, as V8 counts only in code that it compiles afterwards. */
const counter = new WorkCounter();
const { AgentWorld } = await import("../../support/worlds/agent-world.ts");

const MINUTE_MS = 60_000;
const name = fc.constantFrom("a/one", "a/two", "b/one");
const times = fc.integer({ min: 1, max: 9 });
const pick = fc.nat(1_000);

/** Most of these Services claim the same frontends. */
const service = fc.record({
  ip: fc.constantFrom(0, 0, 0, 1, 2),
  ports: fc.uniqueArray(
    fc.record({
      protocol: fc.constantFrom("TCP" as const, "UDP" as const),
      port: fc.constantFrom(53, 80),
      nodePort: fc.constantFrom(0, 30_001, 30_001),
    }),
    { maxLength: 3, selector: ({ protocol, port }) => `${protocol}${port}` },
  ),
  affinity: fc.boolean(),
});

/** All except members: only the process that added a virtual server whose member failed recognises it as ours. */
const refused = fc.constantFrom(
  "add-virtual-server" as const,
  "update-virtual-server" as const,
  "add-real-server" as const,
  "update-real-server" as const,
  "bind-address" as const,
  "unbind-address" as const,
  "delete-real-server" as const,
  "delete-virtual-server" as const,
  "delete-entry" as const,
  "forget-flows" as const,
);

const incident: fc.Arbitrary<Incident> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant("service" as const), name, to: fc.option(service, { nil: undefined }) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("pods" as const),
      name,
      states: fc.array(fc.constantFrom("ready", "ready", "starting", "ending", "ending", "gone"), { maxLength: 4 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("hostile" as const),
      object: fc.constantFrom(...HOSTILE_KINDS),
      seeds: fc.array(fc.noBias(fc.nat()), { maxLength: 4 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("zone" as const), zone: fc.constantFrom("a", "b", undefined) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("addresses" as const),
      addresses: fc.subarray(["192.168.1.10", "192.168.1.11", "fd01::10", "10.96.0.1"]),
      isTold: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("refuse" as const),
      operation: refused,
      errno: fc.constantFrom("ENOMEM" as const, "EEXIST" as const, "ENOENT" as const, "ESRCH" as const),
      times,
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("lose" as const, "fail-reads" as const), times }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("meddle" as const), how: fc.nat(7), pick }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("connect" as const), pick, connections: fc.nat(1) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("step" as const),
      ms: fc.oneof(
        fc.constantFrom(-120 * MINUTE_MS, 120 * MINUTE_MS, 20 * MINUTE_MS),
        fc.integer({ min: -60 * MINUTE_MS, max: 60 * MINUTE_MS }),
      ),
    }),
  },
);

const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ kind: fc.constant("now" as const), incident }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("within" as const), request: fc.nat(12), incident }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("pass" as const),
      ms: fc.oneof(fc.integer({ min: 1, max: 2_000 }), fc.integer({ min: 1, max: 16 * MINUTE_MS })),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("restart" as const) }) },
);

/** Blocks of code that one turn of the event loop may run, as in work.test.ts. */
const BUDGET = 3_000_000;

test("an agent reaches the desired state after any script and is then idle, and no turn of the event loop exceeds its budget", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(act, { maxLength: 30 }), async (script) => {
      counter.take();
      await using world = await AgentWorld.create();
      for (const one of script) await world.perform(one);
      await world.calm();
      expect(world.node).toEqual(world.wanted);
      expect(world.answers).toEqual({ alive: true, healthy: true, ready: true });
      const { asked } = world;
      await world.perform({ kind: "pass", ms: 2 * MINUTE_MS });
      expect(world.asked).toBe(asked);
      expect(counter.take(), counter.top(5).join(", ")).toBeLessThan(BUDGET);
    }),
    { numRuns: cases(30, 10_000) },
  );
});
