import fc from "fast-check";
import { expect, test } from "vitest";
import { DesiredStateBuilder } from "../../../src/desired/desired-state-builder.ts";
import { serviceName, sliceName } from "../../../src/model/cluster/service.ts";
import { virtualServerKey } from "../../../src/model/kernel/ipvs.ts";
import { service, slice } from "../../support/objects/builders.ts";
import { address, facts } from "../../support/objects/desired.ts";
import { assertInBatches, cases } from "../../support/run/cases.ts";

const SHARED = "198.51.100.7";
const IN_POD_NETWORK = "10.244.1.1";
const FACTS = facts({ podNetworks: ["10.244.0.0/16"], own: [SHARED] });
/** By family. Each address may be an external IP and the address of an endpoint. */
const ADDRESSES = {
  IPv4: ["203.0.113.1", "203.0.113.10", "10.0.0.1", IN_POD_NETWORK, SHARED],
  IPv6: ["2001:db8::1", "2001:db8::1:1"],
};
const ALL = [...ADDRESSES.IPv4, ...ADDRESSES.IPv6];
/** With these a slice is read once for all addresses, without them once for each. */
const MANY = Array.from({ length: 20 }, (_, index) => `192.0.2.${index}`);

/** Service N has the port N, so that no two claim one virtual server. */
const number = fc.integer({ min: 1, max: 3 });
const sliceParts = (family: "IPv4" | "IPv6") =>
  fc.record({
    kind: fc.constant("slice" as const),
    family: fc.constant(family),
    number: fc.integer({ min: 1, max: 3 }),
    /** The last of them does not exist. */
    of: fc.integer({ min: 1, max: 4 }),
    endpoints: fc.option(
      fc.array(
        fc.record({
          ip: fc.constantFrom(...ADDRESSES[family]),
          ready: fc.boolean(),
          terminating: fc.boolean(),
        }),
        { maxLength: 3 },
      ),
      { nil: undefined },
    ),
  });
/** Most budgets are smaller than a count, so that many events arrive during a count. */
const happening = fc.oneof(
  fc.record({
    kind: fc.constant("service" as const),
    number,
    externalIPs: fc.option(fc.subarray(ALL, { maxLength: 3 }), { nil: undefined }),
    hasMany: fc.boolean(),
  }),
  { weight: 2, arbitrary: sliceParts("IPv4") },
  sliceParts("IPv6"),
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("advance" as const), units: fc.constantFrom(1, 1, 1, 1_000) }),
  },
);
type Happening = typeof happening extends fc.Arbitrary<infer One> ? One : never;

function play(state: DesiredStateBuilder, one: Happening): void {
  switch (one.kind) {
    case "advance":
      state.advance(one.units);
      return;
    case "service": {
      const name = `s${one.number}`;
      const ip = [`10.96.0.${one.number}`, `fd00:96::${one.number}`];
      if (one.externalIPs === undefined) state.apply({ kind: "service-deleted", name: serviceName("a", name) });
      else {
        const externalIPs = [...one.externalIPs, ...(one.hasMany ? MANY : [])];
        const said = { ip, externalIPs, ports: [one.number] };
        state.apply({ kind: "service-upserted", service: service(`a/${name}`, said) });
      }
      return;
    }
    case "slice": {
      const name = `${one.family.toLowerCase()}-${one.number}`;
      if (one.endpoints === undefined) state.apply({ kind: "slice-deleted", name: sliceName("a", name) });
      else {
        const said = { service: `s${one.of}`, addressType: one.family, endpoints: one.endpoints };
        state.apply({ kind: "slice-upserted", slice: slice(`a/${name}`, said) });
      }
    }
  }
}

/** The expected result for each external IP of each Service, from the final slices. */
function naive(script: readonly Happening[]): readonly string[] {
  const services = new Map<number, readonly string[]>();
  const slices = new Map<string, readonly string[]>();
  for (const one of script) {
    if (one.kind === "service") services.set(one.number, one.externalIPs ?? []);
    if (one.kind === "slice")
      slices.set(
        `${one.family} ${one.number}`,
        (one.endpoints ?? []).map(({ ip }) => ip),
      );
  }
  const known = [...slices.values()].flat();
  const fate = (ip: string): string => {
    if (ip === IN_POD_NETWORK) return "is in the pod network 10.244.0.0/16";
    return ip !== SHARED && known.includes(ip) ? "is the address of an endpoint" : "is served";
  };
  return [...services].flatMap(([name, ips]) => ips.map((ip) => `s${name} ${ip} ${fate(ip)}`)).sort();
}

function actual(state: DesiredStateBuilder): readonly string[] {
  const lines = state.problems.all().map(({ object, value, reason }) => `${object.name} ${value} ${reason}`);
  for (const port of [1, 2, 3])
    for (const ip of ALL)
      if (state.desired.server(virtualServerKey("TCP", address(ip), port)) !== undefined)
        lines.push(`s${port} ${ip} is served`);
  return lines.sort();
}

test("an external IP is rejected while any slice lists it, in any order of events", async () => {
  await assertInBatches(
    fc.property(fc.array(happening, { maxLength: 40, size: "max" }), (script) => {
      const state = new DesiredStateBuilder(FACTS);
      for (const one of script) play(state, one);
      while (state.stale > 0) state.advance(1);
      expect(actual(state)).toEqual(naive(script));
    }),
    cases(1_000, 50_000),
  );
});
