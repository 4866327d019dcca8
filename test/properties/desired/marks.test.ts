import fc from "fast-check";
import { expect, test } from "vitest";
import { DesiredStateBuilder } from "../../../src/desired/desired-state-builder.ts";
import type { Outcome } from "../../../src/kernel/kernel.ts";
import { serviceName } from "../../../src/model/cluster/service.ts";
import { markedServerKey } from "../../../src/model/kernel/ipvs.ts";
import type { Operation } from "../../../src/model/kernel/operation.ts";
import type { ClusterEvent } from "../../../src/services/cluster-event.ts";
import { MemoryKernel } from "../../support/memory-kernel/memory-kernel.ts";
import { service, slice } from "../../support/objects/builders.ts";
import { facts } from "../../support/objects/desired.ts";
import { steppedSync } from "../../support/worlds/sync-world.ts";

const { STRESS = "1" } = process.env;

/** Two bits beside the highest: four marks, for up to seven Services. */
const FACTS = { ...facts(), localMarkMask: 0x103 };

/** Service N has the external IP 198.51.100.N and pods whose addresses end in .N, so that the address shows the Service of a pod. */
interface SmallService {
  readonly number: number;
  readonly policy: "Local" | "Cluster" | "gone";
  readonly isHere: boolean;
}

function eventsOf({ number, policy, isHere }: SmallService): readonly ClusterEvent[] {
  const name = `shop/s${number}`;
  if (policy === "gone") return [{ kind: "service-deleted", name: serviceName("shop", `s${number}`) }];
  const said = { ip: `10.96.0.${number}`, externalIPs: [`198.51.100.${number}`], external: policy };
  const here = { ip: `10.244.1.${number}`, ready: isHere, node: "n1" };
  const there = { ip: `10.244.2.${number}`, ready: true, node: "n2" };
  return [
    { kind: "service-upserted", service: service(name, said) },
    { kind: "slice-upserted", slice: slice(`${name}-1`, { endpoints: [here, there] }) },
  ];
}

/** Checks after every single operation to which pods each mark leads. */
class MarkWatchingKernel extends MemoryKernel {
  readonly misled: string[] = [];

  override async apply(operations: readonly Operation[]): Promise<readonly Outcome[]> {
    const outcomes: Outcome[] = [];
    for (const operation of operations) {
      outcomes.push(...(await super.apply([operation])));
      await this.#check(operation);
    }
    return outcomes;
  }

  async #check({ kind }: Operation): Promise<void> {
    const { entries, servers } = await this.observe("all");
    for (const { address = "", mark, text } of entries.values()) {
      if (mark === undefined) continue;
      const reals = servers.get(markedServerKey("IPv4", mark))?.reals.list() ?? [];
      const strangers = reals.filter((real) => real.weight > 0 && lastOctet(real.address) !== lastOctet(address));
      if (strangers.length > 0) this.misled.push(`${text} leads to ${strangers[0]?.key} after ${kind}`);
    }
  }
}

function lastOctet(address: string): string {
  return address.slice(address.lastIndexOf(".") + 1);
}

const change = fc.record({
  number: fc.integer({ min: 1, max: 7 }),
  policy: fc.constantFrom("Local", "Local", "Cluster", "gone"),
  isHere: fc.boolean(),
});
/** Each step is the changes between two syncs. */
const script = fc.array(fc.array(change, { maxLength: 4 }), { minLength: 1, maxLength: 8 });

test("no mark ever leads to the pods of another Service, and the final marks are those of a fresh start", async () => {
  await fc.assert(
    fc.asyncProperty(script, fc.constantFrom(1, 5, Number.POSITIVE_INFINITY), async (steps, units) => {
      const kernel = new MarkWatchingKernel();
      await kernel.prepare({ families: FACTS.families, rules: {}, sysctls: [] });
      const state = new DesiredStateBuilder(FACTS);
      const clock = { nowMs: 1_000_000 };
      const options = { drainTimeoutMs: 10_000, drainCheckMs: 1_000 };
      const { loop } = steppedSync(kernel, state.desired, () => clock.nowMs, options);
      loop.open();
      for (const changes of steps) {
        for (const event of changes.flatMap(eventsOf)) state.apply(event);
        do {
          for (const keys of state.advance(units)) loop.mark(keys);
          await loop.sync();
        } while (state.stale > 0);
      }
      for (clock.nowMs += 20_000; loop.workAtMs() <= clock.nowMs; clock.nowMs += 1_000) await loop.sync();
      expect(kernel.misled).toEqual([]);

      const last = new Map(steps.flat().map((one) => [one.number, one]));
      const anew = new DesiredStateBuilder(FACTS);
      for (const event of [...last.values()].flatMap(eventsOf)) anew.apply(event);
      anew.advance(Number.POSITIVE_INFINITY);
      expect(kernel.members()).toEqual([...anew.desired.entries()].map(({ key }) => key).sort());
      const textsOf = (one: DesiredStateBuilder) =>
        one.problems
          .all()
          .map((problem) => JSON.stringify(problem))
          .sort();
      expect(textsOf(anew)).toEqual(textsOf(state));
    }),
    { numRuns: 150 * Number(STRESS) },
  );
});
