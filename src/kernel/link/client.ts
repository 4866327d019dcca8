import {
  type Cidr,
  cidrContains,
  familyOf,
  type IPAddress,
  type IPFamily,
  isIPv6LinkLocal,
} from "../../model/address.ts";
import { type BindingOperation, groupConsecutive } from "../../model/kernel/operation.ts";
import type { StepReport } from "../kernel.ts";
import type { AttributeWriter } from "../netlink/attributes.ts";
import { NetlinkError } from "../netlink/error.ts";
import { NO_REPLY, replyOf } from "../netlink/receive-buffer.ts";
import type { NetlinkAnswer, NetlinkSocket } from "../netlink/socket.ts";
import {
  decodeAddress,
  decodeLink,
  encodeDeleteAddress,
  encodeDeleteLink,
  encodeDeprecateAddress,
  encodeGetAddresses,
  encodeGetLink,
  encodeNewAddress,
  encodeNewDummy,
  type Link,
  type LinkAddress,
} from "./codec.ts";

/** The interface that holds the virtual addresses. kube-proxy uses the same name, and other programs look for it. */
export const DUMMY_NAME = "kube-ipvs0";

/**
 * Number of IPv6 addresses that are deleted in one send. The time for each is proportional to the number of addresses
 * on the interface, 1.4-1.8 ms at 10,000, and the kernel holds the lock (RTNL) that all network configuration of the
 * node needs.
 */
const IPV6_DELETE_BATCH = 8;
/** Room for an interface with all of its attributes. */
const LINK_REPLY = replyOf(16_384);

export interface LinkClientOptions {
  /** rtnetlink socket for requests about interfaces. */
  readonly links: NetlinkSocket;
  /**
   * rtnetlink socket for changes and dumps of addresses: a change of the agent would interrupt a dump, so they share a
   * socket and wait for each other. A dump of 20,000 addresses takes 12-16 ms.
   */
  readonly addresses: NetlinkSocket;
}

/** Reads and changes the dummy interface and the addresses of this network namespace. */
export class LinkClient {
  readonly #links: NetlinkSocket;
  readonly #addresses: NetlinkSocket;
  /** Why the last `ensure` could not create the interface; "" if it succeeded. */
  #creationFailure = "";

  constructor(options: LinkClientOptions) {
    this.#links = options.links;
    this.#addresses = options.addresses;
  }

  /**
   * Creates the dummy interface if it is missing; true if it was created. The interface stays down: the node answers to
   * addresses of both families all the same and does not announce them. Rejects if an interface of another kind has the
   * name.
   */
  async ensure(): Promise<boolean> {
    this.#creationFailure = "";
    if ((await this.#dummy()) !== undefined) return false;
    const operation = `create interface "${DUMMY_NAME}"`;
    const [answer] = await this.#links.request(operation, [DUMMY_NAME], encodeNewDummy, NO_REPLY);
    if (answer?.ok === false) {
      const text = answer.errno === "EOPNOTSUPP" ? "the module dummy is not loaded, run: modprobe dummy" : answer.text;
      this.#creationFailure = `the interface "${DUMMY_NAME}" cannot be created: ${text || answer.errno}`;
      throw new NetlinkError(operation, answer.errno, text);
    }
    return true;
  }

  /**
   * Marks the IPv6 addresses of the dummy interface as deprecated, in place, except those in `kept`. Linux may use a
   * preferred address as source of the node's own connections, and the answers are then lost.
   */
  async deprecate(kept: readonly Cidr[]): Promise<StepReport> {
    const { index, addresses } = await this.#preferred(kept);
    if (addresses.length === 0) return NOTHING_DONE;
    const encode = (writer: AttributeWriter, address: IPAddress) => encodeDeprecateAddress(writer, index, address);
    const answers = await this.#addresses.request("deprecate addresses", addresses, encode, NO_REPLY);
    const refused = answers.flatMap((answer, at) =>
      answer.ok ? [] : [{ errno: answer.errno, address: addresses[at] }],
    );
    const done = addresses.length - refused.length;
    const [first] = refused;
    return {
      changed: done === 0 ? [] : [`deprecated ${done} IPv6 addresses of "${DUMMY_NAME}"`],
      warnings:
        first === undefined
          ? []
          : [
              `Cannot deprecate ${refused.length} addresses of "${DUMMY_NAME}", for example "${first.address}": ${first.errno}`,
            ],
    };
  }

  /** Describes the changes that `ensure` and `deprecate` would make. Reads only. */
  async differences(kept: readonly Cidr[]): Promise<readonly string[]> {
    const link = await this.#find();
    if (link === undefined) return [`interface "${DUMMY_NAME}" is missing`];
    if (!isDummy(link)) return [`interface "${DUMMY_NAME}" is ${describeKind(link)}`];
    const { addresses } = await this.#preferred(kept);
    return addresses.map((address) => `address "${address}" of "${DUMMY_NAME}" is not deprecated`);
  }

  /** Removes the dummy interface with all its addresses. An interface of another kind stays, with a warning. */
  async remove(): Promise<StepReport> {
    const link = await this.#find();
    if (link === undefined) return NOTHING_DONE;
    if (!isDummy(link)) {
      return { changed: [], warnings: [`Interface "${DUMMY_NAME}" was not deleted: it is ${describeKind(link)}`] };
    }
    const operation = `delete interface "${DUMMY_NAME}"`;
    const [answer] = await this.#links.request(operation, [link.index], encodeDeleteLink, NO_REPLY);
    if (answer?.ok === false && answer.errno !== "ENODEV") {
      throw new NetlinkError(operation, answer.errno, answer.text);
    }
    return { changed: [`deleted interface "${DUMMY_NAME}"`], warnings: [] };
  }

  /**
   * Applies the operations in order and returns one answer for each. All are refused with ENODEV if the interface does
   * not exist any more, and with EOPNOTSUPP if it could not be created or has another kind.
   */
  async apply(operations: readonly BindingOperation[]): Promise<readonly NetlinkAnswer[]> {
    const link = await this.#find();
    if (link === undefined || !isDummy(link)) return operations.map(() => this.#refusal(link));
    const answers: NetlinkAnswer[] = [];
    for (const group of groupConsecutive(operations, isSlow)) {
      const results = await this.#addresses.request(
        "change addresses",
        group.items,
        (writer, { kind, address }) =>
          kind === "bind-address"
            ? encodeNewAddress(writer, link.index, address)
            : encodeDeleteAddress(writer, link.index, address),
        group.name ? { ...NO_REPLY, batchMessages: IPV6_DELETE_BATCH } : NO_REPLY,
      );
      answers.push(...results);
    }
    return answers;
  }

  /**
   * Returns the addresses on the dummy interface, without IPv6 link-local addresses; an empty set if the interface does
   * not exist.
   */
  async bound(): Promise<ReadonlySet<IPAddress>> {
    const link = await this.#find();
    if (link === undefined || !isDummy(link)) return new Set();
    const bound = new Set<IPAddress>();
    for (const { address } of await this.#list(({ index }) => index === link.index))
      if (!isIPv6LinkLocal(address)) bound.add(address);
    return bound;
  }

  /**
   * Returns the addresses of every interface but the dummy; an address on several interfaces occurs several times. IPv6
   * addresses are left out while Linux checks them for duplicates, and if it found a duplicate: packets to them are not
   * for this host. The kernel reports when such an address becomes usable.
   */
  async others(): Promise<readonly IPAddress[]> {
    const link = await this.#find();
    const ours = link !== undefined && isDummy(link) ? link.index : undefined;
    return (await this.#list(({ index, isTentative }) => index !== ours && !isTentative)).map(({ address }) => address);
  }

  /**
   * The errno controls the retry: after ENODEV a resync creates the interface again; after EOPNOTSUPP it could do
   * nothing.
   */
  #refusal(other: Link | undefined): NetlinkAnswer {
    const text =
      other === undefined ? this.#creationFailure : `the interface "${DUMMY_NAME}" is ${describeKind(other)}`;
    const code = text === "" ? NO_DEVICE : NOT_SUPPORTED;
    return { ok: false, ...code, text, request: new Uint8Array(0) };
  }

  /** Returns the interface that has the name, of any kind. */
  async #find(): Promise<Link | undefined> {
    const operation = `find interface "${DUMMY_NAME}"`;
    const [answer] = await this.#links.request(operation, [DUMMY_NAME], encodeGetLink, LINK_REPLY);
    if (answer?.ok !== true) {
      if (answer?.errno === "ENODEV") return undefined;
      throw new NetlinkError(operation, answer?.errno ?? "EBADMSG", answer?.text);
    }
    const link = answer.replies[0] && decodeLink(answer.replies[0]);
    if (link === undefined) throw new NetlinkError(operation, "EBADMSG", "the interface cannot be read");
    return link;
  }

  /** Returns the dummy interface; rejects if an interface of another kind has the name. */
  async #dummy(): Promise<Link | undefined> {
    const link = await this.#find();
    if (link === undefined || isDummy(link)) return link;
    const operation = `use interface "${DUMMY_NAME}"`;
    throw new NetlinkError(
      operation,
      "EEXIST",
      `an interface of this name exists, but it is ${describeKind(link)}: rename or remove it`,
    );
  }

  /** Returns the IPv6 addresses of the dummy interface that are not deprecated and not in `kept`. */
  async #preferred(
    kept: readonly Cidr[],
  ): Promise<{ readonly index: number; readonly addresses: readonly IPAddress[] }> {
    const link = await this.#find();
    if (link === undefined || !isDummy(link)) return { index: 0, addresses: [] };
    const isMeant = ({ index, address, isDeprecated }: LinkAddress) =>
      index === link.index &&
      !isDeprecated &&
      familyOf(address) === "IPv6" &&
      !isIPv6LinkLocal(address) &&
      !kept.some((network) => cidrContains(network, address));
    const found = await this.#list(isMeant, "IPv6");
    return { index: link.index, addresses: found.map(({ address }) => address) };
  }

  /** Returns the addresses that match; an address on several interfaces occurs several times. */
  async #list(isMeant: (found: LinkAddress) => boolean, family?: IPFamily): Promise<readonly LinkAddress[]> {
    return this.#addresses.dumpAs(
      "list addresses",
      (writer) => encodeGetAddresses(writer, family),
      (message) => {
        const found = decodeAddress(message);
        if (found === undefined || found === "other") return found;
        return isMeant(found) ? found : "other";
      },
    );
  }
}

function isDummy({ kind }: Link): boolean {
  return kind === "dummy";
}

function describeKind({ kind }: Link): string {
  return kind === "" ? "not a dummy" : `of kind "${kind}", not "dummy"`;
}

const NOTHING_DONE: StepReport = { changed: [], warnings: [] };

const NO_DEVICE = { errno: "ENODEV", number: 19 } as const;
const NOT_SUPPORTED = { errno: "EOPNOTSUPP", number: 95 } as const;

function isSlow({ kind, address }: BindingOperation): boolean {
  return kind === "unbind-address" && familyOf(address) === "IPv6";
}
