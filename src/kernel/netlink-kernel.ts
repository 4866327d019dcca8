import { setImmediate as yieldToEventLoop } from "node:timers/promises";
import { FAMILIES, type IPAddress, type IPFamily } from "../model/address.ts";
import { ipsets, type SetEntry } from "../model/kernel/ipset.ts";
import type { RealServerKey, VirtualServerKey } from "../model/kernel/ipvs.ts";
import { KernelError } from "../model/kernel/kernel-error.ts";
import type { ForgetFlows, Operation } from "../model/kernel/operation.ts";
import type { RuleTable } from "../model/kernel/rules.ts";
import type { Sysctl } from "../model/kernel/sysctl.ts";
import { parsePortRanges } from "../model/port-range.ts";
import { readBridges } from "./bridges.ts";
import { ConntrackClient } from "./conntrack/client.ts";
import { groupConsecutive } from "./group-consecutive.ts";
import type { EntryOperation } from "./ipset/batches.ts";
import { IPSetClient } from "./ipset/client.ts";
import { ipsetErrno } from "./ipset/constants.ts";
import { IptablesClient } from "./iptables/client.ts";
import { IpvsClient } from "./ipvs/client.ts";
import type { ServerOperation } from "./ipvs/codec.ts";
import { TimeoutClient } from "./ipvs/timeout-client.ts";
import type {
  Connections,
  ForgottenFlows,
  Kernel,
  NodeSetup,
  Observed,
  Outcome,
  RuleFailure,
  RulesReport,
  SetupReport,
  SourcePorts,
} from "./kernel.ts";
import { type AddressOperation, DUMMY_NAME, LinkClient } from "./link/client.ts";
import { mergeObserved, NOTHING } from "./merge-observed.ts";
import { NetlinkCounters } from "./netlink/counters.ts";
import { NETLINK_GENERIC, NETLINK_NETFILTER, NETLINK_ROUTE } from "./netlink/message.ts";
import { type OpenRawSocket, openRawSocket } from "./netlink/raw-socket.ts";
import { type NetlinkAnswer, NetlinkSocket } from "./netlink/socket.ts";
import { SysctlClient } from "./sysctl.ts";

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
  readonly chains: Readonly<Partial<Record<RuleTable["name"], readonly string[]>>>;
  /** Receives every datagram before it is sent, as a view. */
  readonly onSend?: (bytes: Uint8Array, protocol: number) => void;
  /** Called after stale flows were deleted, once for each family. */
  readonly onForgotten?: (forgotten: ForgottenFlows) => void;
  readonly open?: OpenRawSocket;
  readonly iptables?: IptablesClient;
  readonly sysctls?: Pick<SysctlClient, "apply" | "differences" | "value">;
}

/** Number of addresses in one part of a read. */
const ADDRESSES_PER_PART = 500;

type Client = "ipvs" | "link" | "sets" | "conntrack";

const CLIENT_OF: Readonly<Record<Operation["kind"], Client>> = {
  "add-virtual-server": "ipvs",
  "update-virtual-server": "ipvs",
  "delete-virtual-server": "ipvs",
  "add-real-server": "ipvs",
  "update-real-server": "ipvs",
  "delete-real-server": "ipvs",
  "bind-address": "link",
  "unbind-address": "link",
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
  readonly #timeouts: TimeoutClient;
  readonly #link: LinkClient;
  readonly #sets: IPSetClient;
  readonly #conntrack: ConntrackClient;
  readonly #iptables: IptablesClient;
  readonly #sysctls: Pick<SysctlClient, "apply" | "differences" | "value">;
  /** Whether the last call wrote all rules; then the programs found are the correct ones. */
  #iptablesFound = false;
  #isWritingRules = false;
  /** Whether the agent's rules were removed once because they referred to sets of another type. */
  #rulesRemovedForSets = false;

  constructor(options: NetlinkKernelOptions) {
    this.#options = options;
    this.#iptables = options.iptables ?? new IptablesClient();
    this.#sysctls = options.sysctls ?? new SysctlClient();
    const generic = this.#socket(NETLINK_GENERIC, COMMAND_BYTES);
    this.#ipvs = new IpvsClient({
      commands: generic,
      dumps: this.#socket(NETLINK_GENERIC, DUMP_BYTES),
      lists: this.#socket(NETLINK_GENERIC, DUMP_BYTES),
      longLists: this.#socket(NETLINK_GENERIC, LONG_DUMP_BYTES),
    });
    this.#timeouts = new TimeoutClient(generic);
    this.#link = new LinkClient({
      links: this.#socket(NETLINK_ROUTE, LINK_BYTES),
      addresses: this.#socket(NETLINK_ROUTE, LONG_DUMP_BYTES),
    });
    this.#sets = new IPSetClient({
      commands: this.#socket(NETLINK_NETFILTER, COMMAND_BYTES),
      dumps: this.#socket(NETLINK_NETFILTER, DUMP_BYTES),
    });
    this.#conntrack = new ConntrackClient({
      commands: this.#socket(NETLINK_NETFILTER, COMMAND_BYTES),
      dumps: this.#socket(NETLINK_NETFILTER, DUMP_BYTES),
      ...(options.onForgotten !== undefined && { onForgotten: options.onForgotten }),
    });
  }

  async prepare(setup: NodeSetup): Promise<SetupReport> {
    // This is the first step because of its clear error: without ip_vs its sysctls are missing too.
    const family = await this.#ipvs.probe();
    const parts: readonly (() => Promise<SetupReport>)[] = [
      () => this.ensureInterface(setup.families),
      () => this.#link.deprecate(setup.excludedCIDRs ?? []),
      () => this.#sysctls.apply(setup.sysctls),
      () => this.#timeouts.apply(family, setup.ipvsTimeouts ?? []),
      () => this.#ensureSets(setup.families),
      () => this.#addMembers(setup.members ?? []),
    ];
    const reports: SetupReport[] = [];
    for (const part of parts) reports.push(await withoutKernelError(part));
    const sourcePorts = await this.#sourcePorts();
    const bridges = await readBridges(this.#sysctls);
    return { ...merge(reports), bridges, ...(sourcePorts !== undefined && { sourcePorts }) };
  }

  /**
   * Creates kube-ipvs0 and enables its IPv6 addresses if needed; this is the part of `prepare` that may need a writable
   * /proc/sys.
   */
  async ensureInterface(families: readonly IPFamily[]): Promise<SetupReport> {
    const made = await this.#link.ensure();
    const created = { changed: made ? [`created interface "${DUMMY_NAME}"`] : [], warnings: [] };
    return merge([created, await this.#sysctls.apply(interfaceSysctls(families))]);
  }

  /** The programs are detected again only after a failure: each detection starts about eight processes. */
  async writeRules(setup: NodeSetup): Promise<RulesReport> {
    const ruled = ruledFamilies(setup);
    if (ruled.length === 0) return { changed: [], failures: [] };
    this.#isWritingRules = true;
    try {
      const unusable = this.#iptablesFound ? [] : await this.#findIptables(ruled);
      const { changed, failures } = await this.#iptables.apply(setup.rules);
      this.#iptablesFound = unusable.length + failures.length === 0;
      return { changed, failures: [...unusable, ...failures] };
    } finally {
      this.#isWritingRules = false;
    }
  }

  /**
   * Describes the changes that `prepare` and `writeRules` would make. Reads only; a part that cannot be read is a
   * warning.
   */
  async inspect(setup: NodeSetup): Promise<SetupReport> {
    const family = await this.#ipvs.probe();
    const link = await this.#link.differences(setup.excludedCIDRs ?? []);
    // An interface that has IPv6 addresses has IPv6 enabled.
    const ofInterface = link.length === 0 ? interfaceSysctls(setup.families) : [];
    const sysctls = await this.#sysctls.differences([...ofInterface, ...setup.sysctls]);
    const timeouts = await this.#timeouts.differences(family, setup.ipvsTimeouts ?? []);
    const sets = await this.#sets.differences(setup.families.flatMap(ipsets));
    const unusable = await this.#findIptables(ruledFamilies(setup));
    const rules = await this.#iptables.differences(setup.rules);
    return {
      changed: [...link, ...sysctls, ...timeouts, ...sets, ...rules.changed],
      warnings: [...unusable, ...rules.failures].map(({ message }) => message),
    };
  }

  async observe(scope: "all" | ReadonlySet<VirtualServerKey>): Promise<Observed> {
    if (scope !== "all") {
      return { ...NOTHING, servers: await this.#ipvs.some(scope) };
    }
    return mergeObserved(this.parts());
  }

  async *parts(): AsyncGenerator<Observed> {
    for await (const part of this.#ipvs.all()) yield { ...NOTHING, ...part };
    for await (const addresses of inParts(await this.#link.bound())) yield { ...NOTHING, addresses };
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
  ): Promise<ReadonlyMap<VirtualServerKey, ReadonlyMap<RealServerKey, Connections>>> {
    return this.#ipvs.connections(servers);
  }

  nodeAddresses(): Promise<readonly IPAddress[]> {
    return this.#link.others();
  }

  async remove(families: readonly IPFamily[]): Promise<SetupReport> {
    // Rules come first: a set that a rule names cannot be destroyed.
    const rules = await this.#removeRules(families);
    const sets = await this.#sets.destroy(families.flatMap(ipsets));
    return merge([rules, sets, await this.#link.remove()]);
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.close();
  }

  async #applyGroup(client: Client, operations: readonly Operation[]): Promise<readonly Outcome[]> {
    // CLIENT_OF made the group, so all of its operations belong to this client.
    switch (client) {
      case "ipvs":
        return (await this.#ipvs.apply(operations as readonly ServerOperation[])).map(outcomeOf);
      case "link":
        return (await this.#link.apply(operations as readonly AddressOperation[])).map(outcomeOf);
      case "sets":
        return this.#sets.apply(operations as readonly EntryOperation[]);
      case "conntrack":
        return this.#conntrack.forget(operations as readonly ForgetFlows[]);
    }
  }

  /**
   * Creates the sets. A set of another type stays while rules refer to it. These may be rules that an older agent
   * wrote, so they are removed, but only once: rules of other programs would block the set each time, and the agent's
   * rules would be missing each time.
   */
  async #ensureSets(families: readonly IPFamily[]): Promise<SetupReport> {
    const sets = families.flatMap(ipsets);
    const first = await this.#sets.ensure(sets);
    if (!first.blocked || this.#rulesRemovedForSets || this.#isWritingRules) return first;
    this.#rulesRemovedForSets = true;
    const rules = await this.#removeRules(families);
    return merge([{ ...first, warnings: [] }, rules, await this.#sets.ensure(sets)]);
  }

  async #addMembers(members: readonly SetEntry[]): Promise<SetupReport> {
    await this.#sets.apply(members.map((entry) => ({ kind: "add-entry", entry })));
    return { changed: [], warnings: [] };
  }

  /** Reads the port ranges, which apply to both families despite their path. */
  async #sourcePorts(): Promise<SourcePorts | undefined> {
    const chosen = await this.#sysctls.value("net/ipv4/ip_local_port_range");
    const reserved = await this.#sysctls.value("net/ipv4/ip_local_reserved_ports");
    if (chosen === undefined) return undefined;
    return { chosen: parsePortRanges(chosen), reserved: parsePortRanges(reserved ?? "") };
  }

  async #removeRules(families: readonly IPFamily[]): Promise<SetupReport> {
    if (Object.keys(this.#options.chains).length === 0) return { changed: [], warnings: [] };
    // A family without a program has no rules, because the agent could not write any.
    await this.#iptables.find(families);
    const { changed, failures } = await this.#iptables.remove(families, this.#options.chains);
    return { changed, warnings: failures.map(({ message }) => message) };
  }

  /** Detects the programs; returns the families without a working program. */
  async #findIptables(families: readonly IPFamily[]): Promise<readonly RuleFailure[]> {
    const { unusable } = await this.#iptables.find(families);
    return [...unusable].map(([family, text]) => ({ family, message: `Cannot use iptables for ${family}: ${text}` }));
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

async function* inParts(addresses: ReadonlySet<IPAddress>): AsyncGenerator<ReadonlySet<IPAddress>> {
  const all = [...addresses];
  for (let from = 0; from < all.length; from += ADDRESSES_PER_PART) {
    yield new Set(all.slice(from, from + ADDRESSES_PER_PART));
    await yieldToEventLoop();
  }
}

/**
 * Returns the sysctls of kube-ipvs0. A new interface copies disable_ipv6 from net/ipv6/conf/default, and while it is 1
 * the kernel refuses IPv6 addresses with EACCES (addrconf_add_dev). Other interfaces of the node keep their value.
 */
function interfaceSysctls(families: readonly IPFamily[]): readonly Sysctl[] {
  if (!families.includes("IPv6")) return [];
  return [{ path: `net/ipv6/conf/${DUMMY_NAME}/disable_ipv6`, value: "0", compare: "equal", required: false }];
}

function ruledFamilies({ families, rules }: NodeSetup): readonly IPFamily[] {
  return families.filter((family) => rules[family] !== undefined);
}

const DONE: Outcome = { ok: true };

function outcomeOf(answer: NetlinkAnswer): Outcome {
  if (answer.ok) return DONE;
  return { ok: false, errno: answer.errno, ...(answer.text !== "" && { text: answer.text }) };
}

/** Turns a KernelError into a warning: the rest is still read and programmed, and that read rejects if the kernel fails. */
async function withoutKernelError(part: () => Promise<SetupReport>): Promise<SetupReport> {
  try {
    return await part();
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return { changed: [], warnings: [error.message] };
  }
}

function merge(reports: readonly SetupReport[]): SetupReport {
  const wrongSysctls = reports.flatMap((report) => report.wrongSysctls ?? []);
  return {
    changed: reports.flatMap(({ changed }) => changed),
    warnings: reports.flatMap(({ warnings }) => warnings),
    ...(wrongSysctls.length > 0 && { wrongSysctls }),
  };
}
