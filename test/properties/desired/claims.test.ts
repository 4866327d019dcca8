import fc from "fast-check";
import { expect, test } from "vitest";
import type { Precedence } from "../../../src/desired/claim.ts";
import { DesiredState } from "../../../src/desired/desired-state.ts";
import type { DesiredService } from "../../../src/desired/service/desired-service.ts";
import { type ServiceName, serviceName } from "../../../src/model/cluster/service.ts";
import { addressPortEntry, ipset } from "../../../src/model/kernel/ipset.ts";
import { type Scheduler, virtualServer, virtualServerKey } from "../../../src/model/kernel/ipvs.ts";
import { RealServers } from "../../../src/model/kernel/real-servers.ts";
import { address } from "../../support/objects/desired.ts";

const { STRESS = "1" } = process.env;
const RUNS = 1_000 * Number(STRESS);

/** A claim of a Service: its port, its precedence, and its number of real servers. */
interface SmallClaim {
  readonly port: number;
  readonly precedence: Precedence;
  readonly pods: number;
}

const NAMES = ["a/one", "a/two", "b/one", "c/one"];
const claim = fc.record({
  port: fc.constantFrom(80, 81),
  precedence: fc.constantFrom<Precedence>(0, 1, 2, 3),
  pods: fc.nat(2),
});
const change = fc.record({
  name: fc.constantFrom(...NAMES),
  claims: fc.option(fc.uniqueArray(claim, { selector: ({ port }) => port, maxLength: 2 }), { nil: undefined }),
});

const IP = address("10.96.0.1");
const keyOf = (port: number) => virtualServerKey("TCP", IP, port);

function stateOf(service: ServiceName, claims: readonly SmallClaim[]): DesiredService {
  return {
    servers: claims.map(({ port, precedence, pods }) => ({
      server: virtualServer("TCP", IP, port, { scheduler: "rr" as Scheduler }),
      reals: RealServers.of(
        Array.from({ length: pods }, (_, pod) => ({ address: address(`10.244.${precedence}.${pod}`), port: 80 })),
      ),
      service,
      precedence,
      entries: [
        addressPortEntry(ipset(precedence === 3 ? "KUBE-EXTERNAL-IP" : "KUBE-CLUSTER-IP", "IPv4"), IP, "TCP", port),
      ],
      counterparts: [],
    })),
    addresses: [],
    entries: [],
  };
}

/** The owner of a port, by comparing all claims. */
function winner(
  all: ReadonlyMap<string, readonly SmallClaim[]>,
  port: number,
): readonly [string, SmallClaim] | undefined {
  let best: readonly [string, SmallClaim] | undefined;
  for (const [name, claims] of all) {
    for (const one of claims) {
      if (one.port !== port) continue;
      const better = best === undefined || one.precedence < best[1].precedence;
      if (better || (one.precedence === best?.[1].precedence && name < best[0])) best = [name, one];
    }
  }
  return best;
}

test("the owner of a frontend depends on precedence and names alone, and every change of the owner is marked", () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 12 }), (changes) => {
      const desired = new DesiredState();
      const all = new Map<string, readonly SmallClaim[]>();
      const shown = () =>
        new Map(
          [80, 81].map((port) => {
            const state = desired.server(
              stateOf(serviceName("", ""), [{ port, precedence: 0, pods: 0 }]).servers[0]?.server.key ?? expect.fail(),
            );
            return [port, state?.reals.list().map(({ key }) => key)];
          }),
        );
      for (const { name, claims } of changes) {
        const before = shown();
        const [namespace = "", short = ""] = name.split("/");
        const service = serviceName(namespace, short);
        const keys = desired.replace(service, claims === undefined ? undefined : stateOf(service, claims));
        if (claims === undefined) all.delete(name);
        else all.set(name, claims);
        const after = shown();
        for (const port of [80, 81]) {
          const differs = JSON.stringify(before.get(port)) !== JSON.stringify(after.get(port));
          expect(keys.servers.includes(keyOf(port))).toBe(differs);
          const [owner, won] = winner(all, port) ?? [];
          const expected = won === undefined ? undefined : stateOf(serviceName("", ""), [won]);
          expect(desired.owner(keyOf(port))).toBe(owner);
          expect(after.get(port)).toEqual(expected?.servers[0]?.reals.list().map(({ key }) => key));
          const members = [...desired.entries()].filter((entry) => entry.port === port).map(({ key }) => key);
          expect(members).toEqual(expected?.servers[0]?.entries.map(({ key }) => key) ?? []);
        }
        const servers = [...desired.servers()];
        expect(desired.counts()).toMatchObject({
          virtualServers: servers.length,
          realServers: servers.reduce((sum, { reals }) => sum + reals.size, 0),
        });
      }
    }),
    { numRuns: RUNS },
  );
});
