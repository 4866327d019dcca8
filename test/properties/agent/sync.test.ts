import fc from "fast-check";
import { expect, test } from "vitest";
import { parseVirtualServerKey, realServerKey, virtualServerKey } from "../../../src/model/kernel/ipvs.ts";
import type { Operation, OperationKind } from "../../../src/model/kernel/operation.ts";
import { address } from "../../support/objects/desired.ts";
import { meddling, nth } from "../../support/worlds/meddling.ts";
import { ADDRESSES, naiveNode, type SmallPort, type SmallService } from "../../support/worlds/naive-node.ts";
import { FOREIGN, SyncWorld } from "../../support/worlds/sync-world.ts";

const { STRESS = "1" } = process.env;
const RUNS = 4_000 * Number(STRESS);

const port: fc.Arbitrary<SmallPort> = fc.record({
  protocol: fc.constantFrom("TCP", "TCP", "UDP"),
  port: fc.constantFrom(53, 80),
  nodePort: fc.constantFrom(0, 30001),
});
const service: fc.Arbitrary<SmallService> = fc.record({
  ip: fc.nat(2),
  ports: fc.uniqueArray(port, { maxLength: 3, selector: ({ protocol, port }) => `${protocol}${port}` }),
  pods: fc.uniqueArray(fc.nat(3), { maxLength: 4 }),
  affinity: fc.boolean(),
});
const name = fc.constantFrom("a/one", "a/two", "b/one", "b/two");
const pick = fc.nat(1_000);

const change = fc.record({ kind: fc.constant("change"), name, to: fc.option(service, { nil: undefined }) });
const flush = fc.record({ kind: fc.constant("flush") });
const wait = fc.record({ kind: fc.constant("wait"), ms: fc.constantFrom(500, 5_000, 70_000) });
const connect = fc.record({ kind: fc.constant("connect"), pick, connections: fc.nat(1) });
const refuse = fc.record({
  kind: fc.constant("refuse"),
  operation: fc.constantFrom<OperationKind>(
    "add-entry",
    "add-virtual-server",
    "update-virtual-server",
    "add-real-server",
    "update-real-server",
    "bind-address",
    "unbind-address",
    "delete-real-server",
    "delete-virtual-server",
    "delete-entry",
    "forget-flows",
  ),
  times: fc.nat(3),
});
const changeDuring = fc.record({
  kind: fc.constant("changeDuring"),
  after: fc.nat(8),
  name,
  to: fc.option(service, { nil: undefined }),
});
const lose = fc.record({ kind: fc.constant("lose"), after: fc.nat(8), restart: fc.boolean() });
const failReads = fc.record({ kind: fc.constant("failReads") });
const meddle = fc.record({ kind: fc.constant("meddle"), how: fc.nat(7), pick });
const resync = fc.record({ kind: fc.constant("resync") });
const beginResync = fc.record({ kind: fc.constant("beginResync"), arrived: fc.nat(8) });
const beginResyncDuring = fc.record({
  kind: fc.constant("beginResyncDuring"),
  after: fc.nat(8),
  arrived: fc.nat(8),
});
const endResync = fc.record({ kind: fc.constant("endResync") });
const endResyncDuring = fc.record({ kind: fc.constant("endResyncDuring"), after: fc.nat(8) });
const send = fc.record({ kind: fc.constant("send"), pick: fc.nat(40) });
const restart = fc.record({ kind: fc.constant("restart") });

/** Only the process that added a virtual server whose member failed recognises it as ours. */
const failExceptMembers = refuse.filter(({ operation }) => operation !== "add-entry");

const anything = fc.oneof(
  { arbitrary: change, weight: 6 },
  { arbitrary: flush, weight: 6 },
  { arbitrary: connect, weight: 3 },
  wait,
  changeDuring,
  lose,
  failReads,
  { arbitrary: meddle, weight: 2 },
  resync,
  { arbitrary: beginResync, weight: 2 },
  beginResyncDuring,
  endResync,
  endResyncDuring,
  restart,
  failExceptMembers,
);

type CommandOf<Commands> = Commands extends fc.Arbitrary<infer One> ? One : never;
type Command = CommandOf<typeof anything> | CommandOf<typeof send>;

async function play(world: SyncWorld, command: Command): Promise<void> {
  switch (command.kind) {
    case "change":
      world.change(command.name, command.to);
      return;
    case "flush":
      await world.sync();
      return;
    case "wait":
      world.nowMs += command.ms;
      return;
    case "connect": {
      const states = [...world.memory.servers().values()].filter(({ server }) => !FOREIGN.has(server.key));
      const state = nth(states, command.pick);
      const real = nth([...(state?.reals.keys() ?? [])], command.pick);
      if (state !== undefined && real !== undefined)
        world.memory.setConnections(state.server.key, real, { active: command.connections, inactive: 0 });
      return;
    }
    case "refuse":
      world.memory.failOperations(({ kind }) => kind === command.operation, "ENOMEM", command.times);
      return;
    case "changeDuring":
      world.kernel.onOperation = (count) => {
        if (count === command.after) world.change(command.name, command.to);
      };
      return;
    case "lose":
      world.memory.loseTransportAfter(command.after);
      await world.sync();
      if (command.restart) world.restart();
      return;
    case "failReads":
      world.memory.failReads(1);
      return;
    case "meddle":
      for (const operation of meddling(world.memory, { ...command, foreign: FOREIGN })) world.kernel.meddle(operation);
      return;
    case "resync":
      await world.resync();
      return;
    case "beginResync":
      await world.beginResync(command.arrived);
      return;
    case "beginResyncDuring":
      world.kernel.onOperation = (count) => {
        if (count === command.after) void world.beginResync(command.arrived);
      };
      return;
    case "endResync":
      await world.endResync();
      return;
    case "endResyncDuring":
      world.kernel.onOperation = (count) => {
        if (count === command.after) void world.endResync();
      };
      return;
    case "restart":
      world.restart();
      return;
    case "send":
      sendPacket(world, command.pick);
      return;
  }
}

const NODE_IP = "192.168.1.10";
/** Addresses to which a client may send, served or not. */
const FRONTENDS = [
  ...ADDRESSES.flatMap((ip) => [53, 80].map((port) => [ip, port] as const)),
  [NODE_IP, 30_001] as const,
].flatMap(([ip, port]) => (["UDP", "TCP"] as const).map((protocol) => virtualServerKey(protocol, address(ip), port)));

/**
 * A client of each frontend, which sends from one port: conntrack keeps the flow as it began, to a real server or, if
 * no virtual server takes it, to the address itself. A virtual server without real servers rejects, and there is no flow.
 * Of TCP only packets to an address that is not bound stay unreplied: the node refuses the others, or an endpoint replies.
 */
function sendPacket(world: SyncWorld, pick: number): void {
  const to = nth(FRONTENDS, pick);
  if (to === undefined || world.memory.flows().some((flow) => flow.to === to)) return;
  const { protocol, address: ip, port } = parseVirtualServerKey(to);
  const isLocal = ip === NODE_IP || world.memory.addresses().includes(ip);
  if (isLocal && protocol === "TCP") return;
  const state = isLocal ? world.memory.servers().get(to) : undefined;
  const from = state === undefined ? realServerKey(ip, port) : nth([...state.reals.keys()], pick);
  if (from !== undefined) world.memory.addFlow({ to, from });
}

/** A world after all steps. */
async function worldAfter(script: readonly Command[]): Promise<SyncWorld> {
  const world = await SyncWorld.create();
  for (const step of script) await play(world, step);
  return world;
}

/** A world after all steps, in which then no operation fails and all clients close their connections. */
async function healedAfter(script: readonly Command[]): Promise<SyncWorld> {
  const world = await worldAfter(script);
  world.memory.heal();
  world.quiet();
  return world;
}

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
