import type { Errno } from "../../model/kernel/errno.ts";
import { givesMarks, type IPSet, type SetEntry } from "../../model/kernel/ipset.ts";
import type { TestedMember } from "../../model/kernel/set-question.ts";
import type { AttributeWriter } from "../netlink/attributes.ts";
import { NetlinkError } from "../netlink/error.ts";
import { DEFAULT_REPLY, NO_REPLY } from "../netlink/receive-buffer.ts";
import type { NetlinkAnswer, NetlinkSocket } from "../netlink/socket.ts";
import { type EntryBatch, entryBatches } from "./batches.ts";
import {
  decodePart,
  decodeProtocol,
  encodeCreate,
  encodeDestroy,
  encodeEntries,
  encodeList,
  encodeListHeaders,
  encodeProtocol,
  encodeSwap,
  encodeTest,
  type SetHeader,
  type SetPart,
  type SetSize,
} from "./codec.ts";
import { familyNumber, IPSET_ERR_EXIST, ipsetErrno } from "./constants.ts";

/** A set as the kernel has it. */
export interface ListedSet {
  readonly header: SetHeader;
  readonly entries: readonly SetEntry[];
}

/**
 * The single requests and dumps of the ipset protocol, in the protocol version of this kernel. Each rejects with a
 * NetlinkError if the transport fails or the kernel has no ipset.
 */
export class IPSetRequests {
  readonly #commands: NetlinkSocket;
  readonly #dumps: NetlinkSocket;
  #protocol: number | undefined;

  constructor(commands: NetlinkSocket, dumps: NetlinkSocket) {
    this.#commands = commands;
    this.#dumps = dumps;
  }

  /** Returns the headers of all sets of this network namespace. */
  async headers(): Promise<ReadonlyMap<string, SetHeader>> {
    const operation = "list sets";
    const protocol = await this.#version();
    const headers = new Map<string, SetHeader>();
    for (const message of await this.#dumps.dump(operation, (writer) => encodeListHeaders(writer, protocol))) {
      const part = decodePart(message.payload, new Map());
      if (part === undefined) throw new NetlinkError(operation, "EBADMSG", "the answer cannot be read");
      if (part.header !== undefined) headers.set(part.header.name, part.header);
    }
    return headers;
  }

  /**
   * Returns the set part by part, the header with the first part; nothing if the set does not exist or has another
   * type. A part that is not yet decoded takes a tenth of the memory of its entries.
   */
  async *parts(set: IPSet): AsyncGenerator<SetPart> {
    const operation = `list set "${set.name}"`;
    const protocol = await this.#version();
    const messages = await this.#dumps
      .dump(operation, (writer) => encodeList(writer, protocol, set.name))
      .catch((error: unknown) => {
        if (error instanceof NetlinkError && error.code === "ENOENT") return [];
        throw error;
      });
    const sets = new Map([[set.name, set]]);
    let header: SetHeader | undefined;
    for (const message of messages) {
      const part = decodePart(message.payload, sets);
      if (part === undefined) throw new NetlinkError(operation, "EBADMSG", "the answer cannot be read");
      header ??= part.header;
      if (!matches(header, set)) return;
      yield part;
    }
  }

  /** Returns the set as the kernel has it; undefined if it does not exist or has another type. */
  async read(set: IPSet): Promise<ListedSet | undefined> {
    let header: SetHeader | undefined;
    const entries: SetEntry[] = [];
    for await (const part of this.parts(set)) {
      header ??= part.header;
      for (const entry of part.entries) entries.push(entry);
    }
    return header === undefined ? undefined : { header, entries };
  }

  /** Creates sets under these names; returns the reason for each that the kernel refuses, undefined for each other. */
  async create(
    requests: readonly { readonly name: string; readonly set: IPSet; readonly size: SetSize }[],
  ): Promise<readonly (Errno | undefined)[]> {
    return (await this.#request("create sets", requests, encodeCreate)).map(refusal);
  }

  /** Destroys the sets and returns the refused ones with the reason; an absent set counts as destroyed. */
  async destroy(names: readonly string[]): Promise<ReadonlyMap<string, Errno>> {
    const answers = await this.#request("destroy sets", names, encodeDestroy);
    const refusals = new Map<string, Errno>();
    names.forEach((name, index) => {
      const errno = refusal(answers[index]);
      if (errno !== undefined && errno !== "ENOENT") refusals.set(name, errno);
    });
    return refusals;
  }

  /** Adds or deletes the entries of each batch; returns one answer for each. */
  changeMembers(batches: readonly EntryBatch[]): Promise<readonly NetlinkAnswer[]> {
    return this.#request("change members of sets", batches, (writer, protocol, { kind, set, entries }) =>
      encodeEntries(writer, protocol, { kind, name: set.name, entries }),
    );
  }

  /** Returns whether the kernel finds such a member in the set; undefined if it refuses to look for it. */
  async test(name: string, member: TestedMember): Promise<boolean | undefined> {
    const [answer] = await this.#request(`test set "${name}"`, [{ name, member }], encodeTest);
    if (answer?.ok === true) return true;
    return answer?.number === IPSET_ERR_EXIST ? false : undefined;
  }

  /** Adds the entries to the set of that name. Returns false if the kernel refuses any of them. */
  async fill(name: string, entries: readonly SetEntry[]): Promise<boolean> {
    const [batches = []] = entryBatches(entries.map((entry) => ({ kind: "add-entry", entry })));
    return accepted(
      await this.#request(`fill set "${name}"`, batches, (writer, protocol, batch) =>
        encodeEntries(writer, protocol, { kind: "add-entry", name, entries: batch.entries }),
      ),
    );
  }

  /**
   * Swaps two sets over the dump socket, so the swap waits for running dumps: the kernel does not swap a set during a
   * dump. Returns false if the kernel refuses.
   */
  async swap(from: string, to: string): Promise<boolean> {
    const protocol = await this.#version();
    return accepted(
      await this.#dumps.request(
        `swap set "${to}"`,
        [[from, to] as const],
        (writer, names) => encodeSwap(writer, protocol, names),
        NO_REPLY,
      ),
    );
  }

  async #request<Item>(
    operation: string,
    items: readonly Item[],
    encode: (writer: AttributeWriter, protocol: number, item: Item) => void,
  ): Promise<readonly NetlinkAnswer[]> {
    const protocol = await this.#version();
    return this.#commands.request(operation, items, (writer, item) => encode(writer, protocol, item), NO_REPLY);
  }

  /** Returns the protocol version for this kernel; the first call requests it. */
  async #version(): Promise<number> {
    if (this.#protocol !== undefined) return this.#protocol;
    const operation = "find ipset in this kernel";
    const [answer] = await this.#commands.request(operation, [undefined], encodeProtocol, DEFAULT_REPLY);
    if (answer === undefined || !answer.ok) {
      const errno = refusal(answer) ?? "EBADMSG";
      // nfnetlink_rcv_msg answers EINVAL if a subsystem is missing even after the kernel requested its module.
      throw new NetlinkError(
        operation,
        errno,
        errno === "EINVAL" ? "the module ip_set is not loaded, run: modprobe ip_set" : "",
      );
    }
    this.#protocol = answer.replies[0] && decodeProtocol(answer.replies[0].payload);
    if (this.#protocol === undefined)
      throw new NetlinkError(operation, "EPROTONOSUPPORT", "no common protocol version");
    return this.#protocol;
  }
}

/** Whether a set of this header has the type and family of `set`, and keeps marks if the set gives marks. */
export function matches(header: SetHeader | undefined, set: IPSet): header is SetHeader {
  if (header?.type !== set.type || header.family !== familyNumber(set.type, set.family)) return false;
  return header.marks || !givesMarks(set);
}

function refusal(answer: NetlinkAnswer | undefined): Errno | undefined {
  if (answer === undefined) return "EBADMSG";
  return answer.ok ? undefined : ipsetErrno(answer.number);
}

function accepted(answers: readonly NetlinkAnswer[]): boolean {
  return answers.every(({ ok }) => ok);
}
