import fc from "fast-check";
import { expect, test } from "vitest";
import { parseVirtualServerKey } from "../../../src/model/kernel/ipvs.ts";
import type { Operation } from "../../../src/model/kernel/operation.ts";
import { nth } from "../../support/worlds/meddling.ts";
import { naiveNode, type SmallPort, type SmallService } from "../../support/worlds/naive-node.ts";
import {
  anything,
  beginResync,
  beginResyncDuring,
  change,
  changeDuring,
  connect,
  endResync,
  endResyncDuring,
  failExceptMembers,
  failReads,
  flush,
  healedAfter,
  lose,
  name,
  pick,
  play,
  refuse,
  restart,
  send,
  wait,
  worldAfter,
} from "../../support/worlds/sync-script.ts";
import { FOREIGN, SyncWorld } from "../../support/worlds/sync-world.ts";

const { STRESS = "1" } = process.env;
const RUNS = 4_000 * Number(STRESS);

test("after any script the kernel holds exactly the desired state, and nothing more is written", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anything, { maxLength: 25 }), async (script) => {
      const world = await healedAfter(script);
      await world.resync();
      await world.settle();
      world.expectRight();
      await world.resync();
      expect(await world.sync()).toEqual([]);
    }),
    { numRuns: RUNS },
  );
});

test("after a kill at any operation, beside foreign servers on our ports, the next agent completes the work and touches no foreign server, and the one after writes nothing", async () => {
  const kill = lose.map((one) => ({ ...one, restart: true }));
  const command = fc.oneof(
    { arbitrary: change, weight: 4 },
    { arbitrary: kill, weight: 3 },
    { arbitrary: flush, weight: 2 },
    connect,
    wait,
  );
  await fc.assert(
    fc.asyncProperty(fc.array(command, { maxLength: 20 }), async (script) => {
      const world = await healedAfter(script);
      world.restart();
      await world.settle();
      world.expectRight();
      world.restart();
      expect((await world.sync()).filter(({ kind }) => kind !== "forget-flows")).toEqual([]);
      world.expectRight();
    }),
    { numRuns: RUNS / 2 },
  );
});

test("in the end every flow goes to a real server that its virtual server has now, without a resync and after any lost transport", async () => {
  const dns: fc.Arbitrary<SmallService> = fc.record({
    ip: fc.constant(0),
    ports: fc
      .subarray<SmallPort["protocol"]>(["UDP", "TCP"], { minLength: 1 })
      .chain((protocols) =>
        fc.constantFrom(0, 30_001).map((nodePort) => protocols.map((protocol) => ({ protocol, port: 53, nodePort }))),
      ),
    pods: fc.uniqueArray(fc.nat(2), { maxLength: 2 }),
    affinity: fc.constant(false),
  });
  const command = fc.oneof(
    { arbitrary: fc.record({ kind: fc.constant("change"), name, to: fc.option(dns, { nil: undefined }) }), weight: 4 },
    { arbitrary: flush, weight: 4 },
    { arbitrary: send, weight: 4 },
    { arbitrary: lose, weight: 2 },
    failExceptMembers,
    failReads,
    restart,
    wait,
  );
  await fc.assert(
    fc.asyncProperty(fc.array(command, { maxLength: 30 }), async (script) => {
      const world = await healedAfter(script);
      await world.settle();
      const strays = world.memory.flows().filter(({ to, from }) => {
        const state = world.memory.servers().get(to);
        return state !== undefined && !state.reals.has(from);
      });
      expect(strays).toEqual([]);
      expect(world.kernel.violations).toEqual([]);
    }),
    { numRuns: RUNS },
  );
});

test("a virtual server that a read of the kernel omits is neither removed nor added", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(change, { maxLength: 8 }), fc.array(pick), async (script, hidden) => {
      const world = await worldAfter(script);
      await world.settle();
      const keys = [...world.memory.servers().keys()];
      const missed = new Set(hidden.map((index) => nth(keys, index)));
      world.kernel.hides = (key) => missed.has(key);
      expect((await world.resync())?.drift).toEqual([]);
      expect(await world.sync()).toEqual([]);
      world.expectRight();
      // A new process misses the foreign one, as no read shows it.
      world.kernel.hides = (key) => missed.has(key) && !FOREIGN.has(key);
      world.restart();
      const done = await world.sync();
      expect(done.filter(({ kind }) => kind !== "forget-flows")).toEqual([]);
      await world.settle();
      world.expectRight();
    }),
    { numRuns: RUNS / 10 },
  );
});

test("failed operations are repaired by retries, without a resync", async () => {
  const command = fc.oneof(
    { arbitrary: change, weight: 4 },
    { arbitrary: flush, weight: 4 },
    { arbitrary: refuse, weight: 3 },
    connect,
    changeDuring,
    wait,
  );
  await fc.assert(
    fc.asyncProperty(fc.array(command, { maxLength: 25 }), async (script) => {
      const world = await healedAfter(script);
      await world.settle();
      world.expectRight();
      expect(world.kernel.wholeReads).toBe(1);
    }),
    { numRuns: RUNS },
  );
});

test("changes written during a resync are neither reverted nor counted as drift", async () => {
  const command = fc.oneof(
    { arbitrary: change, weight: 4 },
    { arbitrary: flush, weight: 4 },
    { arbitrary: beginResync, weight: 2 },
    { arbitrary: beginResyncDuring, weight: 2 },
    { arbitrary: endResync, weight: 2 },
    { arbitrary: endResyncDuring, weight: 2 },
    { arbitrary: failExceptMembers, weight: 2 },
    lose,
    connect,
    changeDuring,
    wait,
  );
  await fc.assert(
    fc.asyncProperty(fc.array(command, { maxLength: 25 }), async (script) => {
      const world = await SyncWorld.create();
      for (const step of script) {
        if (step.kind === "endResync") expect((await world.endResync())?.drift ?? []).toEqual([]);
        else await play(world, step);
      }
      world.memory.heal();
      world.quiet();
      expect((await world.endResync())?.drift ?? []).toEqual([]);
      await world.settle();
      world.expectRight();
    }),
    { numRuns: RUNS },
  );
});

test("a change causes operations for its own Service alone, and none when it changes nothing", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(change, { maxLength: 8 }), change, async (script, last) => {
      const world = await worldAfter(script);
      await world.settle();
      const before = naiveNode(world.services, {});
      const resyncs = world.kernel.wholeReads;
      await play(world, last);
      const after = naiveNode(world.services, {});
      const done = await world.sync();
      const changed = changedWords(before, after);
      for (const operation of done) expect(changed.has(wordOf(operation)), JSON.stringify(operation)).toBe(true);
      world.change(last.name, last.to);
      expect(await world.sync()).toEqual([]);
      expect(world.kernel.wholeReads).toBe(resyncs);
    }),
    { numRuns: RUNS },
  );
});

type Node = ReturnType<typeof naiveNode>;

/** First lines of changed virtual servers, changed addresses and members. */
function changedWords(before: Node, after: Node): ReadonlySet<string> {
  const words = ({ servers, addresses, members }: Node): Map<string, string> => {
    const blocks = servers.split("\n-A ").map((block) => (block.startsWith("-A ") ? block.slice(3) : block));
    return new Map([
      ...blocks.map((block): [string, string] => [block.split(" ").slice(0, 2).join(" "), block]),
      ...addresses.map((text): [string, string] => [text, ""]),
      ...members.map((text): [string, string] => [text, ""]),
    ]);
  };
  const [old, now] = [words(before), words(after)];
  return new Set([...old.keys(), ...now.keys()].filter((key) => old.get(key) !== now.get(key)));
}

function wordOf(operation: Operation): string {
  if ("address" in operation) return operation.address;
  if ("entry" in operation) return operation.entry.key;
  const {
    address: ip,
    port: number,
    protocol,
  } = "to" in operation ? parseVirtualServerKey(operation.to) : operation.server;
  return `${protocol === "TCP" ? "-t" : "-u"} ${ip.includes(":") ? `[${ip}]` : ip}:${number}`;
}
