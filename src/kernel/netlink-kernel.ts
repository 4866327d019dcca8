import { FAMILIES, type IPAddress, type IPFamily, isIPv6LinkLocal } from "../model/address.ts";
import { ipsets } from "../model/ipset.ts";
import type { RealServerKey, VirtualServerKey } from "../model/ipvs.ts";
import type { Operation } from "../model/operation.ts";
import { IPSetClient, ipsetErrno } from "./ipset/client.ts";
import { IptablesClient, type RulesReport } from "./iptables/client.ts";
import { IpvsClient } from "./ipvs/client.ts";
import type { ServerOperation } from "./ipvs/codec.ts";
import type { Connections, Kernel, NodeSetup, Observed, Outcome, RuleTable, SetupReport } from "./kernel.ts";
import { type AddressOperation, DUMMY_NAME, LinkClient } from "./link/client.ts";
import { NetlinkCounters } from "./netlink/counters.ts";
import { NETLINK_GENERIC, NETLINK_NETFILTER, NETLINK_ROUTE } from "./netlink/message.ts";
import { type OpenRawSocket, openRawSocket } from "./netlink/raw-socket.ts";
import { type Answer, NetlinkSocket } from "./netlink/socket.ts";
import { runsBy } from "./runs.ts";
import { SysctlClient } from "./sysctl.ts";

/** Kernels answer with datagrams of at most 32 KB; one message alone may be larger. */
const DUMP_BYTES = 65_536;
/** A refusal carries its request back, a virtual server is 300 bytes. */
const COMMAND_BYTES = 4096;
/** An interface with all that is told of it. */
const LINK_BYTES = 16_384;

export interface NetlinkKernelOptions {
  /** Chains that `remove` removes with the jumps into them. */
  readonly chains: Readonly<Partial<Record<RuleTable["name"], readonly string[]>>>;
  /** Shown every datagram before it is sent, as a view. */
  readonly onSend?: (bytes: Uint8Array, protocol: number) => void;
  readonly open?: OpenRawSocket;
}

type Client = "ipvs" | "link" | "sets";

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
};

/**
 * The kernel of the network namespace that this process is in. Two sockets for each protocol, as a dump keeps its
 * socket busy. A socket that is lost takes its exchange with it, which rejects with a NetlinkError; the next call opens
 * a new one. Needs CAP_NET_ADMIN.
 */
export class NetlinkKernel implements Kernel {
  /** What went over all sockets. */
  readonly counters = new NetlinkCounters();
  readonly #options: NetlinkKernelOptions;
  readonly #sockets: NetlinkSocket[] = [];
  readonly #ipvs: IpvsClient;
  readonly #link: LinkClient;
  readonly #sets: IPSetClient;
  readonly #iptables = new IptablesClient();
  readonly #sysctls = new SysctlClient();

  constructor(options: NetlinkKernelOptions) {
    this.#options = options;
    this.#ipvs = new IpvsClient({
      commands: this.#socket(NETLINK_GENERIC, COMMAND_BYTES),
      dumps: this.#socket(NETLINK_GENERIC, DUMP_BYTES),
    });
    this.#link = new LinkClient({
      commands: this.#socket(NETLINK_ROUTE, LINK_BYTES),
      dumps: this.#socket(NETLINK_ROUTE, DUMP_BYTES),
    });
    this.#sets = new IPSetClient({
      commands: this.#socket(NETLINK_NETFILTER, COMMAND_BYTES),
      dumps: this.#socket(NETLINK_NETFILTER, DUMP_BYTES),
    });
  }

  async prepare(setup: NodeSetup): Promise<SetupReport> {
    // First, for its clear error: without ip_vs its sysctls are missing too.
    await this.#ipvs.probe();
    const made = await this.#link.ensure();
    const link = { changed: made ? [`created interface "${DUMMY_NAME}"`] : [], warnings: [] };
    const sysctls = await this.#sysctls.apply(setup.sysctls);
    // Rules name sets, so these come first.
    const sets = await this.#sets.ensure(setup.families.flatMap(ipsets));
    const tools = await this.#iptables.find(setup.families);
    const unusable = [...tools.unusable].map(([family, text]) => `Cannot use iptables for ${family}: ${text}`);
    const rules = setupReport(await this.#iptables.apply(setup.rules));
    return merge([link, sysctls, sets, { changed: [], warnings: unusable }, rules]);
  }

  async observe(scope: "all" | ReadonlySet<VirtualServerKey>): Promise<Observed> {
    if (scope !== "all") {
      const servers = await this.#ipvs.some(scope);
      return { servers, unnamedServers: 0, addresses: new Set(), entries: new Map() };
    }
    const [{ servers, unnamed }, addresses, entries] = await Promise.all([
      this.#ipvs.all(),
      this.#boundAddresses(),
      this.#sets.list(FAMILIES.flatMap(ipsets)),
    ]);
    return { servers, unnamedServers: unnamed, addresses, entries };
  }

  /** Neighbours of one client go out together; the next client's turn is when all of these were answered. */
  async apply(operations: readonly Operation[]): Promise<readonly Outcome[]> {
    const outcomes: Outcome[] = [];
    for (const run of runsBy(operations, ({ kind }) => CLIENT_OF[kind])) {
      for (const outcome of await this.#applyRun(run.name, run.items)) outcomes.push(outcome);
    }
    return outcomes;
  }

  connections(
    servers: ReadonlySet<VirtualServerKey>,
  ): Promise<ReadonlyMap<VirtualServerKey, ReadonlyMap<RealServerKey, Connections>>> {
    return this.#ipvs.connections(servers);
  }

  async nodeAddresses(): Promise<readonly IPAddress[]> {
    const [dummy, addresses] = await Promise.all([this.#link.find(), this.#link.addresses()]);
    return addresses.filter(({ index }) => index !== dummy?.index).map(({ address }) => address);
  }

  async remove(families: readonly IPFamily[]): Promise<SetupReport> {
    // Rules first: a set that a rule names cannot be destroyed.
    await this.#iptables.find(families);
    const rules = setupReport(await this.#iptables.remove(families, this.#options.chains));
    const sets = await this.#sets.destroy(families.flatMap(ipsets));
    const removed = await this.#link.remove();
    const link = { changed: removed ? [`deleted interface "${DUMMY_NAME}"`] : [], warnings: [] };
    return merge([rules, sets, link]);
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.close();
  }

  async #applyRun(client: Client, operations: readonly Operation[]): Promise<readonly Outcome[]> {
    switch (client) {
      case "ipvs":
        return (await this.#ipvs.apply(operations.filter(isServerOperation))).map(outcomeOf);
      case "link":
        return (await this.#link.apply(operations.filter(isAddressOperation))).map(outcomeOf);
      case "sets":
        return this.#sets.apply(operations.filter((operation) => "entry" in operation));
    }
  }

  async #boundAddresses(): Promise<ReadonlySet<IPAddress>> {
    const dummy = await this.#link.find();
    if (dummy === undefined) return new Set();
    const addresses = await this.#link.addresses();
    const ours = addresses.filter(({ index, address }) => index === dummy.index && !isIPv6LinkLocal(address));
    return new Set(ours.map(({ address }) => address));
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

const DONE: Outcome = { ok: true };

function outcomeOf(answer: Answer): Outcome {
  if (answer.ok) return DONE;
  return { ok: false, errno: answer.errno, ...(answer.text !== "" && { text: answer.text }) };
}

function isServerOperation(operation: Operation): operation is ServerOperation {
  return "server" in operation;
}

function isAddressOperation(operation: Operation): operation is AddressOperation {
  return "address" in operation;
}

function setupReport({ changed, failures }: RulesReport): SetupReport {
  return { changed, warnings: failures.map(({ message }) => message) };
}

function merge(reports: readonly SetupReport[]): SetupReport {
  return {
    changed: reports.flatMap(({ changed }) => changed),
    warnings: reports.flatMap(({ warnings }) => warnings),
  };
}
