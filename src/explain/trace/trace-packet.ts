import type { ForeignTable } from "../../kernel/nftables/foreign-tables.ts";
import { addressPort, familyOf, type IPAddress } from "../../model/address.ts";
import type { Protocol } from "../../model/cluster/service.ts";
import { markedServerKey, type RealServer, type VirtualServerKey, virtualServerKey } from "../../model/kernel/ipvs.ts";
import type { ServerState } from "../../model/kernel/server-state.ts";
import { type Packet, packetText } from "./packet.ts";
import type { MatchWorld } from "./rule-match.ts";
import type { Ruleset } from "./ruleset.ts";
import { traverse } from "./traverse.ts";

/** How a packet leaves or reaches this node. */
export interface Route {
  /** "" if there is no route. */
  readonly device: string;
}

/** The state of a node that a packet meets. */
export interface TraceWorld extends MatchWorld {
  /** Those of each backend of iptables that has any: the kernel applies all. */
  readonly rules: readonly Ruleset[];
  readonly servers: ReadonlyMap<VirtualServerKey, ServerState>;
  /** Tables of nftables: the packet passes their rules, and a trace does not follow them. */
  readonly foreignTables: readonly ForeignTable[];
  /** The route to an address; undefined: none. */
  readonly routeTo: (address: IPAddress) => Route | undefined;
}

/** The packet to trace: the first one of a connection. */
export interface TraceStart {
  readonly from: "node" | "elsewhere";
  readonly source: IPAddress;
  readonly destination: IPAddress;
  readonly port: number;
  readonly protocol: Protocol;
}

export interface TraceStep {
  /** As "filter INPUT" or "IPVS". */
  readonly where: string;
  readonly what: string;
}

export interface Trace {
  readonly packet: string;
  readonly steps: readonly TraceStep[];
  readonly outcome: "delivered" | "dropped" | "refused";
  /** The end of the way, as "dropped by rule 1 of filter/INPUT ...". */
  readonly end: string;
  /** The tables of nftables that see such a packet too and were not followed, with the command that shows each. */
  readonly notFollowed: readonly NotFollowed[];
}

export interface NotFollowed {
  readonly table: string;
  readonly hooks: readonly string[];
  readonly command: string;
}

const SOURCE_PORT = 40_000;

/** Follows the first packet of a connection, and its answer, through the rules, sets and virtual servers of a node. */
export function tracePacket(start: TraceStart, world: TraceWorld): Trace {
  const tracer = new Tracer(start, world);
  const end = tracer.run();
  const notFollowed = notFollowedBy(tracer.first, world.foreignTables);
  return { packet: packetText(tracer.first), steps: tracer.steps, ...end, notFollowed };
}

/** The tables that see packets of the family of this one. */
function notFollowedBy({ family }: Packet, tables: readonly ForeignTable[]): readonly NotFollowed[] {
  const families = ["inet", "netdev", "bridge", family === "IPv4" ? "ip" : "ip6"];
  return tables
    .filter(({ name }) => families.includes(name.split(" ")[0] ?? ""))
    .map(({ name, hooks }) => ({ table: name, hooks, command: `nft list table ${name}` }));
}

type End = Pick<Trace, "outcome" | "end">;

class Tracer {
  readonly steps: TraceStep[] = [];
  readonly first: Packet;
  readonly #world: TraceWorld;
  readonly #isOfNode: boolean;
  #packet: Packet;

  constructor({ from, source, destination, port, protocol }: TraceStart, world: TraceWorld) {
    this.#world = world;
    this.#isOfNode = from === "node";
    this.first = {
      family: familyOf(destination),
      protocol,
      source,
      sourcePort: SOURCE_PORT,
      destination,
      port,
      mark: 0,
      inInterface: this.#isOfNode ? "" : (world.routeTo(source)?.device ?? ""),
      outInterface: "",
      state: "NEW",
      direction: "ORIGINAL",
      isMasqueraded: false,
    };
    this.#packet = this.first;
  }

  run(): End {
    return (this.#isOfNode ? this.#fromNode() : this.#fromElsewhere()) ?? this.#balance();
  }

  /** From a process of the node: IPVS works between nat and filter of OUTPUT. */
  #fromNode(): End | undefined {
    const route = this.#world.routeTo(this.#packet.destination);
    if (route === undefined) return this.#noRoute(this.#packet.destination);
    const device = this.#world.isLocal(this.#packet.destination) ? "lo" : route.device;
    this.#packet = { ...this.#packet, outInterface: device };
    return this.#hook("OUTPUT", ["raw", "mangle", "nat"]);
  }

  #fromElsewhere(): End | undefined {
    const ended = this.#hook("PREROUTING", ["raw", "mangle", "nat"]);
    if (ended !== undefined) return ended;
    const { destination } = this.#packet;
    if (!this.#world.isLocal(destination)) return this.#forwarded();
    this.#add("routing", `${destination} is an address of this node`);
    return this.#hook("INPUT", ["mangle", "filter"]);
  }

  /** A packet for no address of this node: no Service of it has the address. */
  #forwarded(): End {
    const { destination } = this.#packet;
    const route = this.#world.routeTo(destination);
    if (route === undefined) return this.#noRoute(destination);
    this.#add(
      "routing",
      `${destination} is not an address of this node: no Service here has it, forwarded by ${route.device}`,
    );
    this.#packet = { ...this.#packet, outInterface: route.device };
    const ended = this.#hook("FORWARD", ["mangle", "filter"]) ?? this.#hook("POSTROUTING", ["mangle", "nat"]);
    return ended ?? { outcome: "delivered", end: `delivered to ${destination} by ${route.device}, not by IPVS` };
  }

  /** IPVS looks for a virtual server with the mark of the packet first. */
  #balance(): End {
    const { family, protocol, destination, port, mark } = this.#packet;
    const byMark = mark === 0 ? undefined : this.#world.servers.get(markedServerKey(family, mark));
    const state = byMark ?? this.#world.servers.get(virtualServerKey(protocol, destination, port));
    if (state === undefined) {
      this.#add("IPVS", `no virtual server ${protocol}/${addressPort(destination, port)}`);
      const end = `delivered to the process of this node that listens at ${addressPort(destination, port)}, or refused if none does`;
      return (this.#isOfNode ? this.#hook("OUTPUT", ["filter"]) : undefined) ?? { outcome: "delivered", end };
    }
    return this.#schedule(state);
  }

  #schedule({ server, reals }: ServerState): End {
    const usable = [...reals].filter(({ weight }) => weight > 0);
    const [real] = usable;
    if (real === undefined) {
      const why = reals.size === 0 ? "it has no real servers" : "all its real servers have weight 0";
      return { outcome: "refused", end: `refused by IPVS: virtual server ${server.key}: ${why}` };
    }
    const others = usable.length === 1 ? "" : ` or one of ${usable.length - 1} others`;
    this.#add("IPVS", `virtual server ${server.key} (${server.scheduler}) selects ${real.key}${others}`);
    return this.#toReal(real, others);
  }

  #toReal(real: RealServer, others: string): End {
    const route = this.#world.routeTo(real.address);
    if (route === undefined) return this.#noRoute(real.address);
    const before = this.#packet;
    this.#packet = {
      ...before,
      destination: real.address,
      port: real.port,
      inInterface: "",
      outInterface: route.device,
    };
    // ip_vs_nat_send_or_cont sends the rewritten packet through LOCAL_OUT.
    const ended = this.#hook("OUTPUT", ["raw", "mangle", "filter"]) ?? this.#hook("POSTROUTING", ["mangle", "nat"]);
    if (ended !== undefined) return ended;
    const lost = this.#answer(route.device);
    return lost ?? { outcome: "delivered", end: `delivered to ${real.key}${others} by ${route.device}` };
  }

  /** The answer of the real server, as its rules see it: it goes to the client, whose address conntrack has put back. */
  #answer(device: string): End | undefined {
    const { source, destination, port, isMasqueraded } = this.#packet;
    const isForNode = this.#isOfNode || this.#world.isLocal(source);
    this.#packet = {
      ...this.#packet,
      ...{ source: destination, sourcePort: port, destination: source, port: SOURCE_PORT, mark: 0, isMasqueraded },
      ...{ state: "ESTABLISHED", direction: "REPLY", inInterface: device },
      outInterface: isForNode ? "" : (this.#world.routeTo(source)?.device ?? ""),
    };
    const hook = isForNode ? "INPUT" : "FORWARD";
    return (
      this.#hook("PREROUTING", ["raw", "mangle"], "answer: ") ?? this.#hook(hook, ["mangle", "filter"], "answer: ")
    );
  }

  #hook(chain: string, tables: readonly string[], prefix = ""): End | undefined {
    for (const table of tables)
      for (const rules of this.#world.rules) {
        const ended = this.#pass(rules, table, chain, prefix);
        if (ended !== undefined) return ended;
      }
    return undefined;
  }

  #pass(rules: Ruleset, table: string, chain: string, prefix: string): End | undefined {
    if (rules.get(table)?.has(chain) !== true) return undefined;
    const { packet, verdict, steps, by } = traverse(rules, table, chain, this.#packet, this.#world);
    this.#packet = packet;
    const passes = verdict === "passes";
    for (const step of steps.length === 0 && passes ? ["passes"] : steps) this.#add(`${prefix}${table} ${chain}`, step);
    const subject = prefix === "" ? "" : "the answer is ";
    return passes ? undefined : { outcome: verdict, end: `${subject}${verdict} by ${by}` };
  }

  #noRoute(address: IPAddress): End {
    return { outcome: "dropped", end: `dropped by the routing of this node: no route to ${address}` };
  }

  #add(where: string, what: string): void {
    this.steps.push({ where, what });
  }
}

/** The trace as text for a terminal. */
export function traceText({ packet, steps, end, outcome, notFollowed }: Trace): string {
  const width = Math.max(...steps.map(({ where }) => where.length), 0);
  const but = outcome === "delivered" ? ", and may drop the packet all the same" : "";
  const others = notFollowed.map(
    ({ table, hooks, command }) =>
      `not followed: nftables table "${table}" of another program has rules at ${hooks.join(", ")}${but}. See: ${command}`,
  );
  const lines = steps.map(({ where, what }) => `  ${where.padEnd(width)}  ${what}`);
  return `${[packet, ...lines, ...others, end].join("\n")}\n`;
}
