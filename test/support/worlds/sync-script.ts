import fc from "fast-check";
import { parseVirtualServerKey, realServerKey, virtualServerKey } from "../../../src/model/kernel/ipvs.ts";
import type { OperationKind } from "../../../src/model/kernel/operation.ts";
import { VIP_BINDINGS } from "../../../src/model/vip-binding.ts";
import { address } from "../objects/desired.ts";
import { meddling, nth } from "./meddling.ts";
import { ADDRESSES, type SmallPort, type SmallService } from "./naive-node.ts";
import { FOREIGN, SyncWorld } from "./sync-world.ts";

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
export const name = fc.constantFrom("a/one", "a/two", "b/one", "b/two");
export const pick = fc.nat(1_000);

/** What can happen to a reconciler, its kernel and its clients, one by one. */
export const change = fc.record({ kind: fc.constant("change"), name, to: fc.option(service, { nil: undefined }) });
export const flush = fc.record({ kind: fc.constant("flush") });
export const wait = fc.record({ kind: fc.constant("wait"), ms: fc.constantFrom(500, 5_000, 70_000) });
export const connect = fc.record({ kind: fc.constant("connect"), pick, connections: fc.nat(1) });
export const refuse = fc.record({
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
export const changeDuring = fc.record({
  kind: fc.constant("changeDuring"),
  after: fc.nat(8),
  name,
  to: fc.option(service, { nil: undefined }),
});
export const lose = fc.record({ kind: fc.constant("lose"), after: fc.nat(8), restart: fc.boolean() });
export const failReads = fc.record({ kind: fc.constant("failReads") });
const meddle = fc.record({ kind: fc.constant("meddle"), how: fc.nat(7), pick });
const resync = fc.record({ kind: fc.constant("resync") });
export const beginResync = fc.record({ kind: fc.constant("beginResync"), arrived: fc.nat(8) });
export const beginResyncDuring = fc.record({
  kind: fc.constant("beginResyncDuring"),
  after: fc.nat(8),
  arrived: fc.nat(8),
});
export const endResync = fc.record({ kind: fc.constant("endResync") });
export const endResyncDuring = fc.record({ kind: fc.constant("endResyncDuring"), after: fc.nat(8) });
export const send = fc.record({ kind: fc.constant("send"), pick: fc.nat(40) });
export const restart = fc.record({ kind: fc.constant("restart"), binding: fc.constantFrom(...VIP_BINDINGS) });

/** Only the process that added a virtual server whose member failed recognises it as ours. */
export const failExceptMembers = refuse.filter(({ operation }) => operation !== "add-entry");

/** Everything that can happen, but packets of clients. */
export const anything = fc.oneof(
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

/** Lets one thing happen. */
export async function play(world: SyncWorld, command: Command): Promise<void> {
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
      world.vipBinding = command.binding;
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
  const isLocal = ip === NODE_IP || [...world.memory.addresses(), ...world.memory.routes()].includes(ip);
  if (isLocal && protocol === "TCP") return;
  const state = isLocal ? world.memory.servers().get(to) : undefined;
  const from = state === undefined ? realServerKey(ip, port) : nth([...state.reals.keys()], pick);
  if (from !== undefined) world.memory.addFlow({ to, from });
}

/** A world after all steps. */
export async function worldAfter(script: readonly Command[]): Promise<SyncWorld> {
  const world = await SyncWorld.create();
  for (const step of script) await play(world, step);
  return world;
}

/** A world after all steps, in which then no operation fails and all clients close their connections. */
export async function healedAfter(script: readonly Command[]): Promise<SyncWorld> {
  const world = await worldAfter(script);
  world.memory.heal();
  world.quiet();
  return world;
}
