import { setImmediate as yieldToEventLoop } from "node:timers/promises";
import { familyOf, type IPAddress } from "../../model/address.ts";
import { NetlinkError } from "../netlink/error.ts";
import type { Answer, NetlinkSocket } from "../netlink/socket.ts";
import { runsBy } from "../runs.ts";
import {
  decodeAddress,
  decodeLink,
  encodeDeleteAddress,
  encodeDeleteLink,
  encodeGetAddresses,
  encodeGetLink,
  encodeNewAddress,
  encodeNewDummy,
  type Link,
  type LinkAddress,
} from "./codec.ts";

/** The interface that holds the virtual addresses: the name kube-proxy gave it, which others look for. */
export const DUMMY_NAME = "kube-ipvs0";

/**
 * IPv6 addresses deleted in one send. Each costs in proportion to how many the interface has, 1.4-1.8 ms at 10,000,
 * under the lock (RTNL) that all network configuration of the node waits for.
 */
const IPV6_DELETE_BATCH = 8;
/** Addresses decoded before the event loop has its turn. */
const SLICE = 2_000;

export interface AddressOperation {
  readonly kind: "bind-address" | "unbind-address";
  readonly address: IPAddress;
}

export interface LinkClientOptions {
  /** rtnetlink, for requests. */
  readonly commands: NetlinkSocket;
  /** rtnetlink, for dumps. */
  readonly dumps: NetlinkSocket;
}

/** The dummy interface and the addresses of this network namespace. */
export class LinkClient {
  readonly #commands: NetlinkSocket;
  readonly #dumps: NetlinkSocket;

  constructor(options: LinkClientOptions) {
    this.#commands = options.commands;
    this.#dumps = options.dumps;
  }

  /** The dummy interface; undefined without one. Rejects if the name is another kind of interface's. */
  async find(): Promise<Link | undefined> {
    const operation = `find interface "${DUMMY_NAME}"`;
    const [answer] = await this.#commands.request(operation, [DUMMY_NAME], encodeGetLink);
    if (answer?.ok !== true) {
      if (answer?.errno === "ENODEV") return undefined;
      throw new NetlinkError(operation, answer?.errno ?? "EBADMSG", answer?.text);
    }
    const link = answer.replies[0] && decodeLink(answer.replies[0]);
    if (link === undefined) throw new NetlinkError(operation, "EBADMSG", "the interface cannot be read");
    if (link.kind !== "dummy") {
      const kind = link.kind === "" ? "not a dummy" : `of kind "${link.kind}", not "dummy"`;
      throw new NetlinkError(operation, "EEXIST", `there is one, but it is ${kind}; rename or remove it`);
    }
    return link;
  }

  /**
   * Makes the dummy interface unless it is there; true if it was made. It stays down: addresses of both families
   * answer all the same, and nobody announces them.
   */
  async ensure(): Promise<boolean> {
    if ((await this.find()) !== undefined) return false;
    const operation = `create interface "${DUMMY_NAME}"`;
    const [answer] = await this.#commands.request(operation, [DUMMY_NAME], encodeNewDummy);
    if (answer?.ok === false) {
      const text = answer.errno === "EOPNOTSUPP" ? "the module dummy is not loaded, run: modprobe dummy" : answer.text;
      throw new NetlinkError(operation, answer.errno, text);
    }
    return true;
  }

  /** Removes the dummy interface with all its addresses; false without one. */
  async remove(): Promise<boolean> {
    const link = await this.find();
    if (link === undefined) return false;
    const operation = `delete interface "${DUMMY_NAME}"`;
    const [answer] = await this.#commands.request(operation, [link.index], encodeDeleteLink);
    if (answer?.ok === false && answer.errno !== "ENODEV") {
      throw new NetlinkError(operation, answer.errno, answer.text);
    }
    return true;
  }

  /** In order, one answer each; ENODEV for all if there is no dummy interface. */
  async apply(operations: readonly AddressOperation[]): Promise<readonly Answer[]> {
    const link = await this.find();
    if (link === undefined) return operations.map(() => NO_DEVICE);
    const answers: Answer[] = [];
    for (const run of runsBy(operations, isSlow)) {
      const batch = run.name ? IPV6_DELETE_BATCH : undefined;
      const results = await this.#commands.request(
        "change addresses",
        run.items,
        (writer, { kind, address }) =>
          kind === "bind-address"
            ? encodeNewAddress(writer, link.index, address)
            : encodeDeleteAddress(writer, link.index, address),
        batch,
      );
      answers.push(...results);
    }
    return answers;
  }

  /** Addresses of every interface, in one dump. */
  async addresses(): Promise<readonly LinkAddress[]> {
    const operation = "list addresses";
    const messages = await this.#dumps.dump(operation, encodeGetAddresses);
    const addresses: LinkAddress[] = [];
    for (const [index, message] of messages.entries()) {
      const address = decodeAddress(message);
      if (address === undefined) throw new NetlinkError(operation, "EBADMSG", "an address cannot be read");
      if (address !== "other") addresses.push(address);
      if (index % SLICE === SLICE - 1) await yieldToEventLoop();
    }
    return addresses;
  }
}

const NO_DEVICE: Answer = { ok: false, errno: "ENODEV", number: 19, text: "", request: new Uint8Array(0) };

function isSlow({ kind, address }: AddressOperation): boolean {
  return kind === "unbind-address" && familyOf(address) === "IPv6";
}
