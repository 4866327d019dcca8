import { setImmediate as yieldToEventLoop } from "node:timers/promises";
import { FAMILIES, type IPAddress, type IPFamily } from "../model/address.ts";
import { ipsets } from "../model/kernel/ipset.ts";
import type { RealServerKey, VirtualServerKey } from "../model/kernel/ipvs.ts";
import {
  type BindingOperation,
  type ForgetFlows,
  groupConsecutive,
  type Operation,
} from "../model/kernel/operation.ts";
import type { SetQuestion } from "../model/kernel/set-question.ts";
import type { ServerTraffic, TrafficCounts } from "../model/kernel/traffic.ts";
import type { BoundVips } from "../model/vip-binding.ts";
import { ConntrackClient } from "./conntrack/client.ts";
import type { EntryOperation } from "./ipset/batches.ts";
import { IPSetClient } from "./ipset/client.ts";
import { ipsetErrno } from "./ipset/constants.ts";
import type { SetFill } from "./ipset/set-queries.ts";
import { IptablesClient } from "./iptables/client.ts";
import { IpvsClient } from "./ipvs/client.ts";
import type { ServerOperation } from "./ipvs/codec.ts";
import { TimeoutClient } from "./ipvs/timeout-client.ts";
import type {
  ConnectionCounts,
  ForgottenFlows,
  Kernel,
  NodeSetup,
  Observed,
  Outcome,
  RulesReport,
  SetupReport,
} from "./kernel.ts";
import { LinkClient } from "./link/client.ts";
import { mergeObserved, NOTHING } from "./merge-observed.ts";
import { NetlinkCounters } from "./netlink/counters.ts";
import { NETLINK_GENERIC, NETLINK_NETFILTER, NETLINK_ROUTE } from "./netlink/message.ts";
import { type OpenRawSocket, openRawSocket } from "./netlink/raw-socket.ts";
import { type NetlinkAnswer, NetlinkSocket } from "./netlink/socket.ts";
import { NftablesClient } from "./nftables/client.ts";
import { baseChains, type ForeignTable, foreignTables } from "./nftables/foreign-tables.ts";
import { RouteClient } from "./route/client.ts";
import { SetupClient, type SetupDependencies } from "./setup-client.ts";
import { SysctlClient } from "./sysctl.ts";
import { VipClient } from "./vip/client.ts";

/** Size of a datagram in most dumps: the kernel fills it, and the addon reads up to 32 in one turn of the event loop. */
const DUMP_BYTES = 8_192;
/**
 * Size of a datagram in dumps of addresses and of very many virtual servers, the largest that the kernel fills: for
 * each datagram it walks the list up to the end of the previous one.
 */
const LONG_DUMP_BYTES = 32_768;
/**
 * Size for answers to commands: a refusal contains its request, and a virtual server with its statistics has 450 bytes.
 */
const COMMAND_BYTES = 2048;
/** Size for an interface with all of its attributes. */
const LINK_BYTES = 16_384;

export interface NetlinkKernelOptions {
  /** The chains that `remove` removes, with the jumps into them. */
  readonly chains: SetupDependencies["chains"];
  readonly otherAgents?: SetupDependencies["otherAgents"];
  /** Receives every datagram before it is sent, as a view. */
  readonly onSend?: (bytes: Uint8Array, protocol: number) => void;
  /** Called after stale flows were deleted, once for each family. */
  readonly onForgotten?: (forgotten: ForgottenFlows) => void;
  readonly open?: OpenRawSocket;
  readonly iptables?: IptablesClient;
  readonly sysctls?: SetupDependencies["sysctls"];
}

/** Number of addresses in one part of a read. */
const ADDRESSES_PER_PART = 500;

type Client = "ipvs" | "vips" | "sets" | "conntrack";

const CLIENT_OF: Readonly<Record<Operation["kind"], Client>> = {
  "add-virtual-server": "ipvs",
  "update-virtual-server": "ipvs",
  "delete-virtual-server": "ipvs",
  "add-real-server": "ipvs",
  "update-real-server": "ipvs",
  "delete-real-server": "ipvs",
  "bind-address": "vips",
  "unbind-address": "vips",
  "add-entry": "sets",
  "delete-entry": "sets",
  "forget-flows": "conntrack",
};

/**
 * The kernel of the network namespace of this process. Each protocol has at least two sockets, because a dump occupies
 * its socket. If a socket fails, the exchange in progress rejects with a NetlinkError, and the next call opens a new
 * socket. Needs CAP_NET_ADMIN.
 */
export class NetlinkKernel implements Kernel {
  /** Counts the traffic of all sockets. */
  readonly counters = new NetlinkCounters();
  readonly #options: NetlinkKernelOptions;
  readonly #sockets: NetlinkSocket[] = [];
  readonly #ipvs: IpvsClient;
  readonly #link: LinkClient;
  readonly #vips: VipClient;
  readonly #sets: IPSetClient;
  readonly #conntrack: ConntrackClient;
  readonly #nftables: NftablesClient;
  /** For dumps of netfilter. */
  readonly #netfilter: NetlinkSocket;
  readonly #setup: SetupClient;

  constructor(options: NetlinkKernelOptions) {
    this.#options = options;
    const generic = this.#socket(NETLINK_GENERIC, COMMAND_BYTES);
    this.#ipvs = new IpvsClient({
      commands: generic,
      dumps: this.#socket(NETLINK_GENERIC, DUMP_BYTES),
      lists: this.#socket(NETLINK_GENERIC, DUMP_BYTES),
      longLists: this.#socket(NETLINK_GENERIC, LONG_DUMP_BYTES),
      statistics: this.#socket(NETLINK_GENERIC, COMMAND_BYTES),
    });
    this.#link = new LinkClient({
      links: this.#socket(NETLINK_ROUTE, LINK_BYTES),
      addresses: this.#socket(NETLINK_ROUTE, LONG_DUMP_BYTES),
    });
    this.#vips = new VipClient(this.#link, new RouteClient(this.#socket(NETLINK_ROUTE, LONG_DUMP_BYTES)));
    this.#netfilter = this.#socket(NETLINK_NETFILTER, DUMP_BYTES);
    this.#sets = new IPSetClient({
      commands: this.#socket(NETLINK_NETFILTER, COMMAND_BYTES),
      dumps: this.#netfilter,
    });
    this.#conntrack = new ConntrackClient({
      commands: this.#socket(NETLINK_NETFILTER, COMMAND_BYTES),
      dumps: this.#socket(NETLINK_NETFILTER, DUMP_BYTES),
      ...(options.onForgotten !== undefined && { onForgotten: options.onForgotten }),
    });
    this.#nftables = new NftablesClient({
      protocol: NETLINK_NETFILTER,
      messageBytes: COMMAND_BYTES,
      open: options.open ?? openRawSocket,
      counters: this.counters,
    });
    this.#setup = new SetupClient({
      ipvs: this.#ipvs,
      timeouts: new TimeoutClient(generic),
      link: this.#link,
      vips: this.#vips,
      sets: this.#sets,
      iptables: options.iptables ?? new IptablesClient(),
      nftables: this.#nftables,
      sysctls: options.sysctls ?? new SysctlClient(),
      chains: options.chains,
      ...(options.otherAgents !== undefined && { otherAgents: options.otherAgents }),
    });
  }

  prepare(setup: NodeSetup): Promise<SetupReport> {
    return this.#setup.prepare(setup);
  }

  /** Does the part of `prepare` that creates kube-ipvs0; see `SetupClient`. */
  ensureInterface(families: readonly IPFamily[]): Promise<SetupReport> {
    return this.#setup.ensureInterface(families);
  }

  writeRules(setup: NodeSetup): Promise<RulesReport> {
    return this.#setup.writeRules(setup);
  }

  /** Describes the changes that `prepare` and `writeRules` would make; see `SetupClient`. */
  inspect(setup: NodeSetup): ReturnType<SetupClient["inspect"]> {
    return this.#setup.inspect(setup);
  }

  /** Gives the node back to kube-proxy; see `SetupClient`. */
  handBack(...handed: Parameters<SetupClient["handBack"]>): Promise<SetupReport> {
    return this.#setup.handBack(...handed);
  }

  remove(families: readonly IPFamily[]): Promise<SetupReport> {
    return this.#setup.remove(families);
  }

  async observe(scope: "all" | ReadonlySet<VirtualServerKey>): Promise<Observed> {
    if (scope !== "all") {
      return { ...NOTHING, servers: await this.#ipvs.some(scope) };
    }
    return mergeObserved(this.parts());
  }

  async *parts(): AsyncGenerator<Observed> {
    for await (const part of this.#ipvs.all()) yield { ...NOTHING, ...part };
    for await (const addresses of inParts(await this.#vips.bound())) yield { ...NOTHING, addresses };
    for await (const entries of this.#sets.list(FAMILIES.flatMap(ipsets))) yield { ...NOTHING, entries };
  }

  /** Consecutive operations of one client are sent together; the next client starts after all of their answers. */
  async apply(operations: readonly Operation[]): Promise<readonly Outcome[]> {
    const outcomes: (readonly Outcome[])[] = [];
    for (const group of groupConsecutive(operations, ({ kind }) => CLIENT_OF[kind]))
      outcomes.push(await this.#applyGroup(group.name, group.items));
    const none: Outcome[] = [];
    return none.concat(...outcomes);
  }

  connections(
    servers: ReadonlySet<VirtualServerKey>,
  ): Promise<ReadonlyMap<VirtualServerKey, ReadonlyMap<RealServerKey, ConnectionCounts>>> {
    return this.#ipvs.connections(servers);
  }

  /** Returns those of the named virtual servers that exist: some 50 microseconds each in User Mode Linux. */
  present(servers: ReadonlySet<VirtualServerKey>): Promise<ReadonlySet<VirtualServerKey>> {
    return this.#ipvs.present(servers);
  }

  /** Returns the named virtual servers that exist, with the connections and the traffic of their real servers. */
  traffic(servers: ReadonlySet<VirtualServerKey>): Promise<ReadonlyMap<VirtualServerKey, ServerTraffic>> {
    return this.#ipvs.traffic(servers);
  }

  /** Returns how full the sets of the agent are. */
  setFills(): Promise<readonly SetFill[]> {
    return this.#sets.fills(FAMILIES.flatMap(ipsets));
  }

  /** Returns whether packets are in sets of any program; see `IPSetClient`. */
  contain(questions: readonly SetQuestion[]): Promise<readonly (boolean | undefined)[]> {
    return this.#sets.contain(questions);
  }

  /** Returns the tables of nftables whose rules iptables does not show. */
  async foreignTables(): Promise<readonly ForeignTable[]> {
    return foreignTables(await baseChains(this.#netfilter));
  }

  /** Returns the counters of the named virtual servers that exist. */
  statistics(servers: ReadonlySet<VirtualServerKey>): Promise<ReadonlyMap<VirtualServerKey, TrafficCounts>> {
    return this.#ipvs.statistics(servers);
  }

  nodeAddresses(): Promise<readonly IPAddress[]> {
    return this.#link.others();
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.close();
    this.#nftables.close();
  }

  async #applyGroup(client: Client, operations: readonly Operation[]): Promise<readonly Outcome[]> {
    // CLIENT_OF made the group, so all of its operations belong to this client.
    switch (client) {
      case "ipvs":
        return (await this.#ipvs.apply(operations as readonly ServerOperation[])).map(outcomeOf);
      case "vips":
        return (await this.#vips.apply(operations as readonly BindingOperation[])).map(outcomeOf);
      case "sets":
        return this.#sets.apply(operations as readonly EntryOperation[]);
      case "conntrack":
        return this.#conntrack.forget(operations as readonly ForgetFlows[]);
    }
  }

  #socket(protocol: number, messageBytes: number): NetlinkSocket {
    const { onSend, open = openRawSocket } = this.#options;
    const socket = new NetlinkSocket({
      protocol,
      messageBytes,
      open,
      counters: this.counters,
      ...(protocol === NETLINK_NETFILTER && { nameOf: ipsetErrno }),
      ...(onSend !== undefined && { onSend }),
    });
    this.#sockets.push(socket);
    return socket;
  }
}

async function* inParts(addresses: BoundVips): AsyncGenerator<BoundVips> {
  const all = [...addresses];
  for (let from = 0; from < all.length; from += ADDRESSES_PER_PART) {
    yield new Map(all.slice(from, from + ADDRESSES_PER_PART));
    await yieldToEventLoop();
  }
}

const DONE: Outcome = { ok: true };

function outcomeOf(answer: NetlinkAnswer): Outcome {
  if (answer.ok) return DONE;
  return { ok: false, errno: answer.errno, ...(answer.text !== "" && { text: answer.text }) };
}
