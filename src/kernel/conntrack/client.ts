import { familyOf } from "../../model/address.ts";
import type { Errno } from "../../model/kernel/errno.ts";
import { groupOfServerKey, parseVirtualServerKey, type VirtualServerKey } from "../../model/kernel/ipvs.ts";
import type { ForgetFlows } from "../../model/kernel/operation.ts";
import type { ForgottenFlows, Outcome } from "../kernel.ts";
import { NetlinkError } from "../netlink/error.ts";
import { NO_REPLY } from "../netlink/receive-buffer.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";
import { decodeFlow, encodeDeleteFlow, encodeListFlows, type Flow, type FlowFilter } from "./codec.ts";

/**
 * Up to this number of virtual servers of one protocol, each has a list of its own: the kernel walks its whole table
 * for each list, but sends only the matching flows. With more, one list of the protocol takes less time, although the
 * agent reads all of its flows.
 */
const LISTS_OF_ONE = 8;

const DONE: Outcome = { ok: true };

export interface ConntrackClientOptions {
  /** Netfilter netlink, for requests. */
  readonly commands: NetlinkSocket;
  /** Netfilter netlink, for dumps. */
  readonly dumps: NetlinkSocket;
  readonly onForgotten?: (forgotten: ForgottenFlows) => void;
}

/** One list to read from the kernel, and the operations for which its flows are compared. */
interface List {
  readonly filter: FlowFilter;
  readonly operations: readonly ForgetFlows[];
}

/** Reads and deletes the conntrack entries of this network namespace. */
export class ConntrackClient {
  readonly #commands: NetlinkSocket;
  readonly #dumps: NetlinkSocket;
  readonly #onForgotten: (forgotten: ForgottenFlows) => void;

  constructor(options: ConntrackClientOptions) {
    this.#commands = options.commands;
    this.#dumps = options.dumps;
    this.#onForgotten = options.onForgotten ?? (() => undefined);
  }

  /**
   * Applies the operations in any order and returns one outcome for each, in the order given. Never rejects: if the
   * kernel does not answer, only these operations are refused, because no state of flows is kept, and deleting flows
   * twice is harmless.
   */
  async forget(operations: readonly ForgetFlows[]): Promise<readonly Outcome[]> {
    const refusals = new Map<VirtualServerKey, Errno>();
    const families = Map.groupBy(listsFor(operations), ({ filter }) => filter.family);
    for (const [family, lists] of families) {
      const startedAtMs = performance.now();
      let flows = 0;
      for (const list of lists) flows += await this.#forgetListed(list, refusals);
      this.#onForgotten({ family, flows, durationMs: performance.now() - startedAtMs });
    }
    return operations.map(({ to }) => {
      const errno = refusals.get(to);
      return errno === undefined ? DONE : { ok: false, errno };
    });
  }

  /** Returns the number of deleted flows; adds refusals to `refusals`. */
  async #forgetListed(list: List, refusals: Map<VirtualServerKey, Errno>): Promise<number> {
    try {
      const stale = await this.#stale(list);
      const kept = await this.#delete(stale);
      for (const [flow, errno] of kept) refusals.set(flow.to, errno);
      return stale.length - kept.size;
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
      for (const { to } of list.operations) refusals.set(to, error.code);
      return 0;
    }
  }

  /**
   * Returns the stale flows of a list. Each flow is compared when it arrives, and only a stale flow is kept: a list of
   * 500,000 flows takes 200 MB.
   */
  #stale({ filter, operations }: List): Promise<readonly Flow[]> {
    const keep = new Map(operations.map(({ to, keep }) => [to, keep]));
    return this.#dumps.dumpAs(
      "list flows",
      (writer) => encodeListFlows(writer, filter),
      (message) => {
        const flow = decodeFlow(message);
        if (flow === undefined || flow === "other") return flow;
        // Copies, because they are views of the datagram.
        if (filter.isUnreplied === true && flow.isReplied) return "other";
        const own = () => ({ ...flow, original: flow.original.slice(), id: flow.id.slice() });
        return keep.get(flow.to)?.has(flow.from) === false ? own() : "other";
      },
    );
  }

  /**
   * Returns the flows that could not be deleted, with the reason; a flow that does not exist any more counts as
   * deleted.
   */
  async #delete(flows: readonly Flow[]): Promise<ReadonlyMap<Flow, Errno>> {
    const answers = await this.#commands.request("delete flows", flows, encodeDeleteFlow, NO_REPLY);
    const kept = new Map<Flow, Errno>();
    for (const [index, flow] of flows.entries()) {
      const answer = answers[index];
      if (answer?.ok === false && answer.errno !== "ENOENT") kept.set(flow, answer.errno);
    }
    return kept;
  }
}

function listsFor(operations: readonly ForgetFlows[]): readonly List[] {
  const groups = Map.groupBy(operations, ({ to }) => groupOfServerKey(to));
  return [...groups.values()].flatMap((group) =>
    group.length <= LISTS_OF_ONE ? group.map(listForOne) : group.slice(0, 1).map((one) => listForAll(one, group)),
  );
}

function listForOne(operation: ForgetFlows): List {
  const { protocol, address, port } = parseVirtualServerKey(operation.to);
  return {
    filter: { family: familyOf(address), protocol, to: { address, port }, isUnreplied: protocol === "TCP" },
    operations: [operation],
  };
}

/** Returns one list for operations of the same protocol and family, of which one is given. */
function listForAll(one: ForgetFlows, operations: readonly ForgetFlows[]): List {
  const { to: _, ...filter } = listForOne(one).filter;
  return { filter, operations };
}
