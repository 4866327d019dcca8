import type { Kernel, NodeSetup, Observed, Outcome } from "../../../src/kernel/kernel.ts";
import type { IPAddress, IPFamily } from "../../../src/model/address.ts";
import type { SetEntry } from "../../../src/model/kernel/ipset.ts";
import type { RealServerKey, VirtualServer, VirtualServerKey } from "../../../src/model/kernel/ipvs.ts";
import type { Operation } from "../../../src/model/kernel/operation.ts";
import type { Desired } from "../../../src/sync/desired.ts";
import type { MemoryKernel } from "../memory-kernel/memory-kernel.ts";

export interface WatchedOptions {
  readonly desired: () => Desired;
  readonly nowMs: () => number;
  readonly drainTimeoutMs: number;
  /** Virtual servers that must not be changed. */
  readonly foreign: ReadonlySet<string>;
}

/** A kernel that passes on one operation at a time and records violations of the rules below. */
export class WatchedKernel implements Kernel {
  readonly violations: string[] = [];
  /** Operations that succeeded since the last `forget`. */
  done: Operation[] = [];
  /** How often the whole kernel was read. */
  wholeReads = 0;
  /** Virtual servers that a read of the whole kernel omits, as the kernel may when other servers are deleted meanwhile. */
  hides: (key: VirtualServerKey) => boolean = () => false;
  /** Called with each part that was read; the part is returned when the promise resolves. */
  onPart: () => Promise<void> = async () => {};
  /** Called before every operation, with the number of operations since the last `forget`. */
  onOperation: (count: number) => void = () => {};
  readonly #kernel: MemoryKernel;
  readonly #options: WatchedOptions;
  readonly #quietSince = new Map<string, number>();
  #count = 0;

  constructor(kernel: MemoryKernel, options: WatchedOptions) {
    this.#kernel = kernel;
    this.#options = options;
  }

  /** A new sync begins. */
  forget(): void {
    this.done = [];
    this.#count = 0;
  }

  async apply(operations: readonly Operation[]): Promise<readonly Outcome[]> {
    const desired = this.#options.desired();
    const addresses = new Set<string>(desired.addresses());
    const servers = new Set<string>([...desired.servers()].map(({ server }) => server.key));
    const outcomes: Outcome[] = [];
    for (const [index, operation] of operations.entries()) {
      const broken = this.#rulesBroken(operation, operations.slice(index + 1), addresses, servers);
      for (const rule of broken) this.violations.push(`${rule}: ${JSON.stringify(operation)}`);
      this.onOperation(this.#count++);
      const [outcome = { ok: true }] = await this.#kernel.apply([operation]);
      if (outcome.ok) this.#note(operation);
      outcomes.push(outcome);
    }
    return outcomes;
  }

  /** Another program does the operation. */
  meddle(operation: Operation): void {
    if (this.#kernel.meddle(operation).ok) this.#note(operation);
    this.done.pop();
  }

  prepare(setup: NodeSetup) {
    return this.#kernel.prepare(setup);
  }

  writeRules(setup: NodeSetup) {
    return this.#kernel.writeRules(setup);
  }

  observe(scope: "all" | ReadonlySet<VirtualServerKey>): Promise<Observed> {
    return this.#kernel.observe(scope);
  }

  async *parts(): AsyncGenerator<Observed> {
    this.wholeReads++;
    for await (const part of this.#kernel.parts()) {
      await this.onPart();
      yield { ...part, servers: new Map([...part.servers].filter(([key]) => !this.hides(key))) };
    }
  }

  connections(servers: ReadonlySet<VirtualServerKey>) {
    return this.#kernel.connections(servers);
  }

  nodeAddresses() {
    return this.#kernel.nodeAddresses();
  }

  remove(families: readonly IPFamily[]) {
    return this.#kernel.remove(families);
  }

  close() {
    return this.#kernel.close();
  }

  #rulesBroken(
    operation: Operation,
    later: readonly Operation[],
    desiredAddresses: ReadonlySet<string>,
    desiredServers: ReadonlySet<string>,
  ): string[] {
    const broken: string[] = [];
    const mustNot = (rule: string, isBroken: boolean): void => {
      if (isBroken) broken.push(rule);
    };
    const standing = [...this.#kernel.servers().values()].map(({ server }) => server);
    const isLeaving = (server: VirtualServer): boolean =>
      !desiredServers.has(server.key) && !this.#options.foreign.has(server.key);
    if ("server" in operation) mustNot("touches a foreign one", this.#options.foreign.has(operation.server.key));
    switch (operation.kind) {
      case "bind-address": {
        const { address } = operation;
        const adds = later.some((next) => "server" in next && isAdd(next) && next.server.address === address);
        mustNot("binds an address before its servers exist", adds);
        break;
      }
      case "unbind-address": {
        const here = standing.filter((server) => server.address === operation.address && isLeaving(server));
        mustNot(
          "unbinds under connections",
          here.some((server) => this.#breaks(server)),
        );
        const other = operation.binding === "route" ? this.#kernel.addresses() : this.#kernel.routes();
        const isLast = desiredAddresses.has(operation.address) && !other.includes(operation.address);
        mustNot("removes the only binding of a desired VIP", isLast);
        break;
      }
      case "add-virtual-server": {
        const names = later.some((next) => next.kind === "add-entry" && isNamed(next.entry, operation.server));
        mustNot("adds a server before its member", names);
        break;
      }
      case "add-real-server": {
        const gone = this.done.some(
          (past) =>
            past.kind === "delete-real-server" &&
            past.server.key === operation.server.key &&
            past.real.key === operation.real.key,
        );
        mustNot("deletes and adds again", gone);
        break;
      }
      case "delete-real-server":
        mustNot("breaks connections", this.#breaks(operation.server, operation.real.key));
        break;
      case "delete-virtual-server": {
        const { address } = operation.server;
        const isOpen = this.#isBound(address) && !desiredAddresses.has(address);
        mustNot("deletes a server while its address is bound and not desired", isOpen);
        mustNot("breaks connections", this.#breaks(operation.server));
        break;
      }
      case "delete-entry": {
        const { entry } = operation;
        mustNot(
          "takes a member from under a server",
          standing.some((s) => isLeaving(s) && isNamed(entry, s)),
        );
        break;
      }
      case "forget-flows": {
        const reals = this.#kernel.servers().get(operation.to)?.reals ?? new Map<RealServerKey, unknown>();
        // Servers added by other programs since the last resync are not in the actual state yet, and will be deleted.
        const desiredReals = this.#options.desired().server(operation.to)?.reals;
        const forgets = [...reals.keys()].some((key) => desiredReals?.has(key) === true && !operation.keep.has(key));
        mustNot("forgets the flows of a desired real server that exists", forgets);
        break;
      }
      case "update-virtual-server":
      case "update-real-server":
      case "add-entry":
        break;
    }
    return broken;
  }

  #isBound(address: IPAddress): boolean {
    return [...this.#kernel.addresses(), ...this.#kernel.routes()].includes(address);
  }

  /** Whether the server has TCP connections on real servers that were at weight 0 for less than the drain time. */
  #breaks(server: VirtualServer, only?: string): boolean {
    if (server.protocol !== "TCP") return false;
    const { drainTimeoutMs, nowMs } = this.#options;
    for (const real of this.#kernel.servers().get(server.key)?.reals.keys() ?? []) {
      const { active, inactive } = this.#kernel.connectionsOf(server.key, real);
      if (active + inactive === 0 || (only !== undefined && only !== real)) continue;
      const sinceMs = this.#quietSince.get(`${server.key} ${real}`);
      if (sinceMs === undefined || nowMs() - sinceMs < drainTimeoutMs) return true;
    }
    return false;
  }

  #note(operation: Operation): void {
    this.done.push(operation);
    if (operation.kind !== "add-real-server" && operation.kind !== "update-real-server") return;
    const name = `${operation.server.key} ${operation.real.key}`;
    if (operation.real.weight > 0) this.#quietSince.delete(name);
    else if (!this.#quietSince.has(name)) this.#quietSince.set(name, this.#options.nowMs());
  }
}

function isAdd(operation: Operation): boolean {
  return operation.kind === "add-virtual-server" || operation.kind === "add-real-server";
}

function isNamed({ set, text }: SetEntry, server: VirtualServer): boolean {
  if ((set.family === "IPv6") !== server.address.includes(":")) return false;
  if (set.base === "KUBE-CLUSTER-IP")
    return text === `${server.address},${server.protocol.toLowerCase()}:${server.port}`;
  if (set.base === "KUBE-NODE-PORT-IPS") return text === server.address;
  return set.base === `KUBE-NODE-PORT-${server.protocol}` && text === String(server.port);
}
