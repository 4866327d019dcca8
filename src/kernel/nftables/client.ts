import type { IPFamily } from "../../model/address.ts";
import type { Errno } from "../../model/kernel/errno.ts";
import { AttributeWriter } from "../netlink/attributes.ts";
import { NetlinkConnection, type NetlinkConnectionOptions } from "../netlink/connection.ts";
import { errnoName } from "../netlink/error.ts";
import {
  beginMessage,
  beginNetfilterMessage,
  endMessage,
  NETFILTER_HEADER_BYTES,
  NLM_F_ACK,
  NLMSG_ERROR,
  readAcknowledgement,
  setSequence,
} from "../netlink/message.ts";

/** linux/netfilter/nfnetlink.h and nf_tables.h. */
const NFNL_SUBSYS_NFTABLES = 10;
const NFNL_MSG_BATCH_BEGIN = 0x10;
const NFNL_MSG_BATCH_END = 0x11;
const NFT_MSG_GETTABLE = 1;
const NFT_MSG_DELTABLE = 2;
const NFTA_TABLE_NAME = 1;
const NFPROTO: Readonly<Record<IPFamily, number>> = { IPv4: 2, IPv6: 10 };

/** The answers of a kernel without such a table, or without nf_tables. */
const ABSENT: ReadonlySet<Errno> = new Set(["ENOENT", "EOPNOTSUPP", "EPROTONOSUPPORT", "EINVAL"] as Errno[]);

/** Finds and deletes tables of nftables in this network namespace. */
export class NftablesClient {
  readonly #connection: NetlinkConnection;
  #tail: Promise<unknown> = Promise.resolve();

  /** A socket of netfilter netlink of its own: nf_tables accepts only transactions, in which one message is answered. */
  constructor(options: NetlinkConnectionOptions) {
    this.#connection = new NetlinkConnection(options);
  }

  /**
   * Deletes a table with all that it contains, at once for all packets. Returns whether there was one, or the errno with
   * which the kernel refused. Rejects with a NetlinkError if the kernel cannot be reached.
   */
  deleteTable(family: IPFamily, name: string): Promise<"deleted" | "absent" | Errno> {
    return this.#inTurn(() => this.#delete(family, name));
  }

  /** Returns whether there is such a table. Rejects with a NetlinkError if the kernel cannot be reached. */
  hasTable(family: IPFamily, name: string): Promise<boolean> {
    return this.#inTurn(() => this.#has(family, name));
  }

  close(): void {
    this.#connection.close();
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#tail.then(work);
    this.#tail = result.catch(() => undefined);
    return result;
  }

  async #has(family: IPFamily, name: string): Promise<boolean> {
    const operation = `find nftables table "${name}" of ${family}`;
    this.#connection.receiveBufferBytes(operation);
    const first = this.#connection.nextSequence();
    let found = false;
    await this.#connection.exchange({ operation, bytes: query(first, family, name), first, count: 1 }, (message) => {
      found = message.type !== NLMSG_ERROR;
      return true;
    });
    return found;
  }

  async #delete(family: IPFamily, name: string): Promise<"deleted" | "absent" | Errno> {
    const operation = `delete nftables table "${name}" of ${family}`;
    // Opens the socket before a sequence number is taken.
    this.#connection.receiveBufferBytes(operation);
    const first = this.#connection.nextSequence();
    const bytes = transaction(first, family, name);
    let errno = 0;
    await this.#connection.exchange({ operation, bytes, first, count: 3 }, (message) => {
      if (message.type !== NLMSG_ERROR) return false;
      errno = readAcknowledgement(message).errno;
      return true;
    });
    if (errno === 0) return "deleted";
    const text = errnoName(errno);
    return ABSENT.has(text) ? "absent" : text;
  }
}

/**
 *     | BATCH_BEGIN, for nf_tables | DELTABLE, acknowledged | BATCH_END |
 *
 * Older kernels acknowledge neither begin nor end; a kernel without nf_tables refuses the first message.
 */
function transaction(first: number, family: IPFamily, name: string): Uint8Array {
  const writer = new AttributeWriter();
  border(writer, NFNL_MSG_BATCH_BEGIN, first);
  const begun = beginNetfilterMessage(writer, NFNL_SUBSYS_NFTABLES, NLM_F_ACK, NFT_MSG_DELTABLE, NFPROTO[family]);
  writer.string(NFTA_TABLE_NAME, name);
  endMessage(writer, begun);
  setSequence(writer, begun, first + 1);
  border(writer, NFNL_MSG_BATCH_END, first + 2);
  return writer.written();
}

/** A question is no transaction. It is answered by the table, or by an error. */
function query(sequence: number, family: IPFamily, name: string): Uint8Array {
  const writer = new AttributeWriter();
  const begun = beginNetfilterMessage(writer, NFNL_SUBSYS_NFTABLES, 0, NFT_MSG_GETTABLE, NFPROTO[family]);
  writer.string(NFTA_TABLE_NAME, name);
  endMessage(writer, begun);
  setSequence(writer, begun, sequence);
  return writer.written();
}

/** The first or the last message of a transaction; its resource is the subsystem, in network order. */
function border(writer: AttributeWriter, type: number, sequence: number): void {
  const begun = beginMessage(writer, type, 0);
  const header = writer.reserve(NETFILTER_HEADER_BYTES);
  writer.setU8(header + 3, NFNL_SUBSYS_NFTABLES);
  endMessage(writer, begun);
  setSequence(writer, begun, sequence);
}
