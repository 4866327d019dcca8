import fc from "fast-check";
import { expect, test } from "vitest";
import type { ServicePortName } from "../../../src/model/cluster/service.ts";
import type { VirtualServerKey } from "../../../src/model/kernel/ipvs.ts";
import { NO_TRAFFIC, TRAFFIC_FIELDS, type TrafficCounts } from "../../../src/model/kernel/traffic.ts";
import { TrafficTotals } from "../../../src/serve/metrics/traffic/traffic-totals.ts";

const SERVERS = 6;
const SERVICES = 4;
const READINGS = 10;

type Step =
  | { readonly kind: "traffic"; readonly server: number; readonly counts: TrafficCounts }
  /** Deleted and added again, or its counters are set to zero. */
  | { readonly kind: "reset"; readonly server: number }
  /** Deleted, and not added again before the reading. */
  | { readonly kind: "deleted"; readonly server: number }
  /** Another Service owns it from now on; 0: nobody does. */
  | { readonly kind: "owner"; readonly server: number; readonly service: number };

const server = fc.nat(SERVERS - 1);
const counts = fc.record({
  connections: fc.nat(100),
  packetsIn: fc.nat(1_000),
  packetsOut: fc.nat(1_000),
  bytesIn: fc.nat(100_000),
  bytesOut: fc.nat(100_000),
});
const traffic = fc.record({ kind: fc.constant("traffic" as const), server, counts });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: traffic },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("reset" as const), server }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("deleted" as const), server }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("owner" as const), server, service: fc.nat(SERVICES) }) },
);
const steps = (each: fc.Arbitrary<Step>) =>
  fc.array(fc.array(each, { maxLength: 12 }), { minLength: 1, maxLength: READINGS });

const keyOf = (number: number) => `server-${number}` as VirtualServerKey;

/** The kernel and the owners, as the steps change them, and the traffic that there was in all. */
class World {
  readonly kernel = Array.from({ length: SERVERS }, () => ({ ...NO_TRAFFIC }));
  readonly owners = Array.from({ length: SERVERS }, (_, number) => (number % SERVICES) + 1);
  readonly truth = { ...NO_TRAFFIC };
  readonly deleted = new Set<number>();

  take(change: Step): void {
    const now = this.kernel[change.server];
    switch (change.kind) {
      case "traffic":
        for (const field of TRAFFIC_FIELDS) {
          if (now !== undefined) Object.assign(now, { [field]: now[field] + change.counts[field] });
          Object.assign(this.truth, { [field]: this.truth[field] + change.counts[field] });
        }
        return;
      case "deleted":
        this.deleted.add(change.server);
        this.kernel[change.server] = { ...NO_TRAFFIC };
        return;
      case "reset":
        this.kernel[change.server] = { ...NO_TRAFFIC };
        return;
      case "owner":
        this.owners[change.server] = change.service;
    }
  }

  portOf(number: number): ServicePortName | undefined {
    const service = this.owners[number] ?? 0;
    return service === 0 ? undefined : { namespace: "shop", service: `s${service}`, port: "80" };
  }

  read(totals: TrafficTotals): ReadonlyMap<string, TrafficCounts> {
    const existing = new Map(this.kernel.map((now, number) => [keyOf(number), { ...now }]));
    for (const number of this.deleted) existing.delete(keyOf(number));
    this.owners.forEach((_, number) => {
      const port = this.portOf(number);
      if (port !== undefined) totals.add(keyOf(number), port, existing.get(keyOf(number)));
    });
    for (const key of totals.left()) {
      const now = existing.get(key);
      if (now !== undefined) totals.addUndesired(key, now);
    }
    Array.from(totals.finish());
    this.deleted.clear();
    return new Map([...totals.totals()].map(({ owner, counts: total }) => [owner.service, { ...total }]));
  }
}

const limits = fc.constantFrom(1, 2, 3, SERVICES, Number.POSITIVE_INFINITY);
const sum = (totals: ReadonlyMap<string, TrafficCounts>, field: keyof TrafficCounts) =>
  [...totals.values()].reduce((all, total) => all + total[field], 0);

test("no total ever decreases, there are never more than the limit, and together they have no more than the traffic", () => {
  fc.assert(
    fc.property(limits, steps(step), (limit, readings) => {
      const world = new World();
      const totals = new TrafficTotals(limit);
      world.read(totals);
      const highest = new Map<string, TrafficCounts>();
      for (const reading of readings) {
        for (const change of reading) world.take(change);
        const now = world.read(totals);
        expect(now.size).toBeLessThanOrEqual(limit + 1);
        for (const field of TRAFFIC_FIELDS) expect(sum(now, field)).toBeLessThanOrEqual(world.truth[field]);
        for (const [name, total] of now) {
          const before = highest.get(name) ?? NO_TRAFFIC;
          for (const field of TRAFFIC_FIELDS) expect(total[field]).toBeGreaterThanOrEqual(before[field]);
          highest.set(name, total);
        }
      }
    }),
  );
});

test("without resets the totals have all traffic, with any limit, however the busiest ports change", () => {
  fc.assert(
    fc.property(limits, steps(traffic), (limit, readings) => {
      const world = new World();
      const totals = new TrafficTotals(limit);
      world.read(totals);
      const exported = new Map<string, TrafficCounts>();
      for (const reading of readings) {
        for (const change of reading) world.take(change);
        // A total that is not listed now keeps its value, because its traffic goes to the common one.
        for (const [name, total] of world.read(totals)) exported.set(name, total);
      }
      for (const field of TRAFFIC_FIELDS) expect(sum(exported, field)).toBe(world.truth[field]);
    }),
  );
});
