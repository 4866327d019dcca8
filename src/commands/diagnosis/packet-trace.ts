import type { Config } from "../../config/config.ts";
import type { TraceFrom, TraceTo } from "../../config/settings/targets.ts";
import { parseRuleset } from "../../explain/trace/ruleset.ts";
import {
  type Route,
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
    const start = startOf(config, traceFrom, traceTo, { observed, addresses });
    const world = await worldOf({ observed, addresses, family, run });
    const traced = tracePacket(start, await withRoutes(world, start, run));
    output.out(config.output === "json" ? `${JSON.stringify(traced, null, 2)}\n` : traceText(traced));
    return traced.outcome === "delivered" ? EXIT_OK : EXIT_DIFFERENT;
  } finally {
    await kernel.close();
  }
}

interface Read {
  readonly observed: Observed;
  /** Those of all interfaces but kube-ipvs0. */
  readonly addresses: ReadonlySet<IPAddress>;
}

function startOf(config: Config, from: TraceFrom, to: TraceTo, { addresses }: Read): TraceStart {
  const family = familyOf(to.address);
  if (from === "node") {
    // Linux takes the destination itself as source if it is an address of the node.
    return { ...start(to), from: "node", source: to.address };
  }
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
}

async function worldOf({ observed, addresses, family, run }: WorldInput): Promise<Omit<TraceWorld, "routeTo">> {
  const rules = (await saveCounted(run, family)).map(parseRuleset);
  const sets = new Map<string, SetEntry[]>(ipsets(family).map(({ name }) => [name, []]));
  for (const entry of observed.entries.values()) sets.get(entry.set.name)?.push(entry);
  const isLocal = (address: IPAddress) =>
    isLoopback(address) || addresses.has(address) || observed.addresses.has(address);
  return { rules, sets, servers: observed.servers, isLocal };
}

/** Asks the kernel for the routes to all addresses that the packet may meet: its ends, and the real servers. */
async function withRoutes(
  world: Omit<TraceWorld, "routeTo">,
  { source, destination }: TraceStart,
  run: RunProcess,
): Promise<TraceWorld> {
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

/** `ip route get`: "10.244.1.10 dev pod0 src ...", or an error if there is no route. */
async function route(address: IPAddress, run: RunProcess): Promise<Route | undefined> {
  const { code, stdout } = await run("ip", ["-o", "route", "get", address]);
  const device = /\bdev (\S+)/.exec(stdout)?.[1];
  return code === 0 && device !== undefined ? { device } : undefined;
}
