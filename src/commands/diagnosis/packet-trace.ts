import type { Config } from "../../config/config.ts";
import type { TraceFrom, TraceTo } from "../../config/settings/targets.ts";
import { parseRuleset } from "../../explain/trace/ruleset.ts";
import {
  type Route,
  type Trace,
  type TraceStart,
  type TraceWorld,
  tracePacket,
  traceText,
} from "../../explain/trace/trace-packet.ts";
import { saveCounted } from "../../kernel/iptables/counted-rules.ts";
import type { Observed } from "../../kernel/kernel.ts";
import { type RunProcess, runProcess } from "../../kernel/run-process.ts";
import { familyOf, type IPAddress, type IPFamily, isLoopback, parseAddress } from "../../model/address.ts";
import type { SetEntry } from "../../model/kernel/ipset.ts";
import { ipsets } from "../../model/kernel/ipset.ts";
import type { SetQuestion } from "../../model/kernel/set-question.ts";
import type { Output } from "../../process/standard-output.ts";
import { EXIT_DIFFERENT, EXIT_OK } from "../exit-codes.ts";
import { thisKernel } from "../this-node.ts";

/** Addresses from documentation (RFC 5737, RFC 3849), which no node has. */
const OUTSIDE: Readonly<Record<IPFamily, string>> = { IPv4: "203.0.113.254", IPv6: "2001:db8::fffe" };

/** Prints the way of a packet through the rules, sets and virtual servers of this node. Reads only. */
export async function trace(
  config: Config,
  output: Output,
  kernel = thisKernel(config),
  run: RunProcess = runProcess,
): Promise<number> {
  try {
    const { traceFrom, traceTo } = config;
    if (traceTo === undefined) throw new Error("No destination is given");
    const family = familyOf(traceTo.address);
    const observed = await kernel.observe("all");
    const addresses = new Set(await kernel.nodeAddresses());
    const start = await startOf(config, traceFrom, traceTo, { addresses, run });
    const foreignTables = await kernel.foreignTables();
    const world = await worldOf({ observed, addresses, family, run, foreignTables });
    const traced = await tracedWithSets(start, await withRoutes(world, start, run), kernel);
    output.out(config.output === "json" ? `${JSON.stringify(traced, null, 2)}\n` : traceText(traced));
    return traced.outcome === "delivered" ? EXIT_OK : EXIT_DIFFERENT;
  } finally {
    await kernel.close();
  }
}

/** More than a packet has rules with sets of others on its way. */
const MOST_QUESTIONS = 200;

/**
 * Traces the packet, asks the kernel whether it is in the sets of other programs that the rules named, and traces it again
 * with the answers, until no new question comes up: what a rule does to the packet changes later questions.
 */
async function tracedWithSets(
  start: TraceStart,
  world: World & Pick<TraceWorld, "routeTo">,
  kernel: Pick<ReturnType<typeof thisKernel>, "contain">,
): Promise<Trace> {
  const answers = new Map<string, boolean | undefined>();
  for (;;) {
    const asked = new Map<string, SetQuestion>();
    const isInForeign = (question: SetQuestion): boolean | undefined => {
      const key = JSON.stringify(question);
      if (!answers.has(key)) asked.set(key, question);
      return answers.get(key);
    };
    const traced = tracePacket(start, { ...world, sets: { members: world.members, isInForeign } });
    if (asked.size === 0 || answers.size > MOST_QUESTIONS) return traced;
    const found = await kernel.contain([...asked.values()]);
    for (const [index, key] of [...asked.keys()].entries()) answers.set(key, found[index]);
  }
}

interface Read {
  readonly observed: Observed;
  /** Those of all interfaces but kube-ipvs0. */
  readonly addresses: ReadonlySet<IPAddress>;
}

async function startOf(
  config: Config,
  from: TraceFrom,
  to: TraceTo,
  { addresses, run }: Pick<WorldInput, "addresses" | "run">,
): Promise<TraceStart> {
  const family = familyOf(to.address);
  if (from === "node") return { ...start(to), from: "node", source: await sourceTo(to.address, run) };
  if (from === "outside") return { ...start(to), from: "elsewhere", source: parsed(OUTSIDE[family]) };
  const source = from === "pod" ? podAddress(config, family) : from;
  if (familyOf(source) !== family) throw new Error(`${source} and ${to.address} are of different families`);
  return { ...start(to), from: addresses.has(source) ? "node" : "elsewhere", source };
}

function start({ address, port, protocol }: TraceTo): Pick<TraceStart, "destination" | "port" | "protocol"> {
  return { destination: address, port, protocol };
}

function podAddress({ clusterCidrs }: Config, family: IPFamily): IPAddress {
  const network = clusterCidrs.find((one) => one.family === family);
  if (network !== undefined) return network.address;
  throw new Error(
    `The network of pods of ${family} is not known: use --cluster-cidr, or --from with the address of a pod`,
  );
}

function parsed(text: string): IPAddress {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`"${text}" is not an address`);
  return address;
}

interface WorldInput extends Read {
  readonly family: IPFamily;
  readonly run: RunProcess;
  readonly foreignTables: TraceWorld["foreignTables"];
}

/** A world without routes, and with the members of the agent's sets alone. */
type World = Omit<TraceWorld, "routeTo" | "sets"> & Pick<TraceWorld["sets"], "members">;

async function worldOf({ observed, addresses, family, run, foreignTables }: WorldInput): Promise<World> {
  const rules = (await saveCounted(run, family)).map(parseRuleset);
  const members = new Map<string, SetEntry[]>(ipsets(family).map(({ name }) => [name, []]));
  for (const entry of observed.entries.values()) members.get(entry.set.name)?.push(entry);
  const isLocal = (address: IPAddress) =>
    isLoopback(address) || addresses.has(address) || observed.addresses.has(address);
  return { rules, members, servers: observed.servers, isLocal, foreignTables };
}

/** Asks the kernel for the routes to all addresses that the packet may meet: its ends, and the real servers. */
async function withRoutes(
  world: World,
  { source, destination }: TraceStart,
  run: RunProcess,
): Promise<World & Pick<TraceWorld, "routeTo">> {
  const routes = new Map<IPAddress, Promise<Route | undefined>>();
  const ask = (address: IPAddress) => routes.set(address, routes.get(address) ?? route(address, run));
  ask(source);
  ask(destination);
  for (const { server, reals } of world.servers.values())
    if (server.address === destination || server.mark !== 0)
      for (const { address } of [...reals].filter(({ weight }) => weight > 0).slice(0, 1)) ask(address);
  const found = new Map<IPAddress, Route | undefined>();
  for (const [address, asked] of routes) found.set(address, await asked);
  return { ...world, routeTo: (address) => found.get(address) };
}

/**
 * The source address of the node's own packets: mostly the destination itself if it is an address of the node, but not for
 * an IPv6 VIP that is bound by a route.
 */
async function sourceTo(address: IPAddress, run: RunProcess): Promise<IPAddress> {
  const { stdout } = await run("ip", ["-o", "route", "get", address]);
  return parseAddress(/\bsrc (\S+)/.exec(stdout)?.[1] ?? "") ?? address;
}

/** `ip route get`: "10.244.1.10 dev pod0 src ...", or an error if there is no route. */
async function route(address: IPAddress, run: RunProcess): Promise<Route | undefined> {
  const { code, stdout } = await run("ip", ["-o", "route", "get", address]);
  const device = /\bdev (\S+)/.exec(stdout)?.[1];
  return code === 0 && device !== undefined ? { device } : undefined;
}
