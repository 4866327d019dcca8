import type {
  ConnectionCounts,
  IpvsTimeout,
  Kernel,
  NodeSetup,
  Observed,
  Outcome,
  RulesReport,
  SetupChange,
  SetupReport,
} from "../../../src/kernel/kernel.ts";
import { mergeObserved, NOTHING } from "../../../src/kernel/merge-observed.ts";
import type { IPAddress, IPFamily } from "../../../src/model/address.ts";
import type { Errno } from "../../../src/model/kernel/errno.ts";
import { ipsets, type SetName } from "../../../src/model/kernel/ipset.ts";
import {
  type IpvsTimeoutName,
  parseVirtualServerKey,
  type RealServerKey,
  type VirtualServerKey,
} from "../../../src/model/kernel/ipvs.ts";
import type { ForgetFlows, Operation } from "../../../src/model/kernel/operation.ts";
import { Faults } from "./faults.ts";
import { ipvsadmLines } from "./ipvsadm-lines.ts";
import { type KernelServer, ServerTable } from "./server-table.ts";
import { SetTable } from "./set-table.ts";
import { VipTable } from "./vip-table.ts";

/** Longest timeout in seconds that the clock of the kernel can represent (INT_MAX / HZ, for the slowest clock). */
const LONGEST_TIMEOUT = 21_474_836;
/** Number of virtual servers in one part of a read. */
const PART = 1;
const OK: Outcome = { ok: true };
const LINK: SetupChange = { object: "link", text: "link kube-ipvs0" };

/** A conntrack entry: the address to which the client sends, and the address that answers. */
export interface MemoryFlow {
  readonly to: VirtualServerKey;
  readonly from: RealServerKey;
  /** Whether a reply was seen; false if absent. */
  readonly isReplied?: boolean;
}

/**
 * A kernel in memory with the rules and errnos of the real one (Linux 6.1; both pass the same contract suite). On
 * request it has faults: failed operations and a failing transport. Tests also change its objects as another program would.
 */
export class MemoryKernel implements Kernel {
  readonly #servers = new ServerTable();
  readonly #sets = new SetTable();
  readonly #flows: MemoryFlow[] = [];
  /** The defaults of IPVS. */
  readonly #timeouts: Record<IpvsTimeoutName, number> = { tcp: 900, tcpfin: 120, udp: 300 };
  readonly #vips = new VipTable();
  #nodeAddresses: readonly IPAddress[] = [];
  readonly #faults = new Faults();

  async prepare({ families, members = [], ipvsTimeouts = [] }: NodeSetup): Promise<SetupReport> {
    const changed: SetupChange[] = [];
    const warnings: string[] = [];
    for (const timeout of ipvsTimeouts) this.#setTimeout(timeout, { changed, warnings });
    if (this.#vips.createDevice()) changed.push(LINK);
    for (const { name } of families.flatMap(ipsets)) {
      if (this.#sets.create(name)) changed.push({ object: "set", text: `set ${name}` });
    }
    for (const entry of members) {
      const operation: Operation = { kind: "add-entry", entry };
      if (this.#faults.outcomeOf(operation) === undefined) this.meddle(operation);
    }
    return { changed, warnings };
  }

  async writeRules(_setup: NodeSetup): Promise<RulesReport> {
    return { changed: [], failures: [] };
  }

  async observe(scope: "all" | ReadonlySet<VirtualServerKey>): Promise<Observed> {
    if (scope === "all") return mergeObserved(this.parts());
    this.#faults.read();
    return { ...NOTHING, servers: this.#servers.states([...scope]) };
  }

  async *parts(): AsyncGenerator<Observed> {
    // The kernel counts through its list, even if virtual servers are deleted meanwhile.
    for (let from = 0; from < this.#servers.all.size; from += PART) {
      this.#faults.read();
      yield { ...NOTHING, servers: this.#servers.states(this.#servers.keys().slice(from, from + PART)) };
    }
    this.#faults.read();
    yield { ...NOTHING, addresses: this.#vips.bound() };
    for (const entries of this.#sets.contents()) {
      this.#faults.read();
      yield { ...NOTHING, entries };
    }
  }

  async apply(operations: readonly Operation[]): Promise<readonly Outcome[]> {
    const outcomes: Outcome[] = [];
    for (const operation of operations) {
      this.#faults.send(operation);
      outcomes.push(this.#faults.outcomeOf(operation) ?? this.meddle(operation));
    }
    return outcomes;
  }

  async connections(
    servers: ReadonlySet<VirtualServerKey>,
  ): Promise<ReadonlyMap<VirtualServerKey, ReadonlyMap<RealServerKey, ConnectionCounts>>> {
    this.#faults.read();
    const counted = new Map<VirtualServerKey, ReadonlyMap<RealServerKey, ConnectionCounts>>();
    for (const key of servers) {
      const server = this.#servers.all.get(key);
      if (server === undefined) continue;
      const reals = [...server.reals.keys()];
      counted.set(key, new Map(reals.map((real) => [real, this.#servers.connectionsOf(key, real)])));
    }
    return counted;
  }

  async nodeAddresses(): Promise<readonly IPAddress[]> {
    this.#faults.read();
    return this.#nodeAddresses;
  }

  async remove(families: readonly IPFamily[]): Promise<SetupReport> {
    const changed: SetupChange[] = [];
    if (this.#vips.deleteDevice()) changed.push(LINK);
    if (this.#vips.deleteRoutes()) changed.push({ object: "link", text: "routes" });
    for (const { name } of families.flatMap(ipsets))
      if (this.#sets.destroy(name)) changed.push({ object: "set", text: `set ${name}` });
    return { changed, warnings: [] };
  }

  async close(): Promise<void> {}

  /** Applies an operation as another program would: the faults do not apply. */
  meddle(operation: Operation): Outcome {
    const errno = this.#perform(operation);
    return errno === undefined ? OK : { ok: false, errno };
  }

  /** The next `times` operations that match fail with this errno. */
  failOperations(applies: (operation: Operation) => boolean, errno: Errno, times = Number.POSITIVE_INFINITY): void {
    this.#faults.fail({ applies, errno, left: times });
  }

  /** Ends all faults. */
  heal(): void {
    this.#faults.end();
  }

  /** Makes `apply` reject after this many more operations; these were done, but have no outcome. */
  loseTransportAfter(operations: number): void {
    this.#faults.operationsUntilLoss = operations;
  }

  /** Makes the next `times` reads reject. */
  failReads(times: number): void {
    this.#faults.readsToFail = times;
  }

  /** Limits the number of members of a set. */
  limitSet(name: SetName, members: number): void {
    this.#sets.limit(name, members);
  }

  /** Deletes kube-ipvs0, as another program would. */
  deleteDevice(): void {
    this.#vips.deleteDevice();
  }

  /** Sets the addresses of the other interfaces of the node. */
  setNodeAddresses(addresses: readonly IPAddress[]): void {
    this.#nodeAddresses = addresses;
  }

  /** Sets the open connections of clients; they end with their real server. */
  setConnections(server: VirtualServerKey, real: RealServerKey, connections: ConnectionCounts): void {
    const found = this.#servers.all.get(server);
    if (found?.reals.has(real) === true) found.connections.set(real, connections);
  }

  /** Adds a flow to conntrack, as if a client sent a packet. */
  addFlow(flow: MemoryFlow): void {
    this.#flows.push(flow);
  }

  /** Returns the flows of conntrack, oldest first. */
  flows(): readonly MemoryFlow[] {
    return [...this.#flows];
  }

  /** Returns the virtual servers; the faults do not apply. */
  servers(): ReadonlyMap<VirtualServerKey, Readonly<Pick<KernelServer, "server" | "reals">>> {
    return this.#servers.all;
  }

  /** Returns the connections of a real server; the faults do not apply. */
  connectionsOf(server: VirtualServerKey, real: RealServerKey): ConnectionCounts {
    return this.#servers.connectionsOf(server, real);
  }

  /** Returns the virtual servers as `ipvsadm -Sn` prints them, sorted. */
  ipvsadm(): string {
    const servers = [...this.#servers.all.values()].sort((a, b) => compare(a.server.key, b.server.key));
    return servers
      .flatMap(({ server, reals }) =>
        ipvsadmLines(
          server,
          [...reals.values()].sort((a, b) => compare(a.key, b.key)),
        ),
      )
      .join("\n");
  }

  /** Returns the addresses on kube-ipvs0, sorted. */
  addresses(): IPAddress[] {
    return this.#vips.addresses();
  }

  /** Returns the VIPs that are bound by routes, sorted. */
  routes(): IPAddress[] {
    return this.#vips.routes();
  }

  /** Returns "SET MEMBER" for every member, sorted. */
  members(): string[] {
    return [...this.#sets.contents()].flatMap((entries) => [...entries.keys()]).sort(compare);
  }

  #setTimeout({ name, seconds, flag }: IpvsTimeout, report: { changed: SetupChange[]; warnings: string[] }): void {
    const before = this.#timeouts[name];
    const text = `IPVS timeout ${name}`;
    if (seconds > LONGEST_TIMEOUT) report.warnings.push(`Cannot set ${text} to ${seconds} s for --${flag}: EINVAL`);
    else if (before !== seconds) {
      this.#timeouts[name] = seconds;
      report.changed.push({ object: "ipvs-timeout", text: `set ${text} from ${before} s to ${seconds} s` });
    }
  }

  #perform(operation: Operation): Errno | undefined {
    switch (operation.kind) {
      case "add-virtual-server":
        return this.#servers.add(operation.server);
      case "update-virtual-server":
        return this.#servers.update(operation.server);
      case "delete-virtual-server":
        return this.#servers.delete(operation.server.key);
      case "add-real-server":
      case "update-real-server":
      case "delete-real-server":
        return this.#servers.perform(operation);
      case "bind-address":
      case "unbind-address":
        return this.#vips.perform(operation);
      case "add-entry":
        return this.#sets.add(operation.entry);
      case "delete-entry":
        return this.#sets.delete(operation.entry);
      case "forget-flows":
        return this.#forgetFlows(operation);
    }
  }

  #forgetFlows({ to, keep }: ForgetFlows): undefined {
    const kept = keep.toMap();
    const isTCP = parseVirtualServerKey(to).protocol === "TCP";
    const left = this.#flows.filter(
      (flow) => flow.to !== to || kept.has(flow.from) || (isTCP && flow.isReplied === true),
    );
    this.#flows.splice(0, this.#flows.length, ...left);
  }
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
