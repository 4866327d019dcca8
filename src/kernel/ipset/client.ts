import { setTimeout as sleep, setImmediate as yieldToEventLoop } from "node:timers/promises";
import type { IPSet, SetEntry, SetEntryKey, SetName } from "../../model/kernel/ipset.ts";
import type { Errno, Outcome, SetupReport } from "../kernel.ts";
import type { AttributeWriter } from "../netlink/attributes.ts";
import { errnoName, NetlinkError } from "../netlink/error.ts";
import { DEFAULT_REPLY, NO_REPLY } from "../netlink/receive-buffer.ts";
import type { Answer, NetlinkSocket } from "../netlink/socket.ts";
import { batchRest, type EntryBatch, type EntryOperation, entryBatches } from "./batches.ts";
import {
  decodePart,
  decodeProtocol,
  decodeRefusedLine,
  encodeCreate,
  encodeDestroy,
  encodeEntries,
  encodeList,
  encodeListHeaders,
  encodeProtocol,
  encodeSwap,
  type SetHeader,
  type SetPart,
  type SetSize,
} from "./codec.ts";
import { familyNumber, IPSET_ERR_EXIST, IPSET_ERR_HASH_FULL, IPSET_ERRORS } from "./constants.ts";

/** As kube-proxy creates them: with another maxelem its own `ipset create -exist` fails, should it ever come back. */
const FIRST_SIZE: SetSize = { maxElements: 65_536, hashSize: 1024 };
/** No set grows beyond: a member takes some 60 bytes of unswappable memory. */
const MOST_ELEMENTS = 2 ** 24;

/** Where a set is made that will take the place of another. If we die meanwhile it is left over, and the next `ensure` or `destroy` removes it. */
const SPARE = "KUBE-IPVS-SPARE";

/**
 * nf_tables frees deleted rules in a work queue, some milliseconds after it said that they are gone; until then their
 * sets are busy.
 */
const DESTROY_ATTEMPTS = 10;
const DESTROY_RETRY_MS = 50;

const APPLIED: Outcome = { ok: true };

export interface IPSetClientOptions {
  /** Netfilter netlink, for requests. */
  readonly commands: NetlinkSocket;
  /** Netfilter netlink, for dumps. */
  readonly dumps: NetlinkSocket;
  readonly sleep?: (ms: number) => Promise<unknown>;
}

/** `blocked`: a set that others hold stays as it is. */
export type EnsureReport = SetupReport & { readonly blocked: boolean };

/** Name of an error number in the answers of ipset: those above 4096 are its own. For the sockets and for us. */
export function ipsetErrno(number: number): Errno {
  return IPSET_ERRORS.get(number) ?? errnoName(number);
}

/** The sets of this network namespace, by ipset's own protocol. */
export class IPSetClient {
  readonly #commands: NetlinkSocket;
  readonly #dumps: NetlinkSocket;
  readonly #sleep: (ms: number) => Promise<unknown>;
  /** Who uses the spare is alone: a flush may grow a set while a look makes sets be there. */
  #spareTail: Promise<unknown> = Promise.resolve();
  #protocol: number | undefined;
  /** Sets that cannot take our entries, and why. */
  #unusable: ReadonlyMap<SetName, Errno> = new Map();

  constructor(options: IPSetClientOptions) {
    this.#commands = options.commands;
    this.#dumps = options.dumps;
    this.#sleep = options.sleep ?? sleep;
  }

  /**
   * Makes the sets be there. One of the right type and family is taken as it is, whatever its size. Any other is
   * replaced: under the rules that refer to it if the kernel allows that, which it does within one type. What stays is
   * blocked: a warning says so, and its entries are refused with IPSET_ERR_TYPE_MISMATCH from then on.
   */
  ensure(sets: readonly IPSet[]): Promise<EnsureReport> {
    return this.#withSpare(() => this.#ensure(sets));
  }

  async #ensure(sets: readonly IPSet[]): Promise<EnsureReport> {
    const found = await this.#headers();
    if (found.has(SPARE)) await this.#destroy([SPARE]);
    const missing = sets.filter((set) => !matches(found.get(set.name), set));
    const kept = await this.#destroy(missing.map(({ name }) => name).filter((name) => found.has(name)));
    const absent = missing.filter(({ name }) => !kept.has(name));
    const answers = await this.#create(absent.map((set) => ({ name: set.name, set, size: FIRST_SIZE })));
    const unusable = new Map<SetName, Errno>();
    const changed: string[] = [];
    const warnings: string[] = [];
    let blocked = false;
    for (const set of missing.filter(({ name }) => kept.has(name))) {
      if (await this.#swapIn(set, FIRST_SIZE, [])) {
        changed.push(`replaced set "${set.name}"`);
        continue;
      }
      blocked = true;
      unusable.set(set.name, "IPSET_ERR_TYPE_MISMATCH");
      warnings.push(describeMismatch(set, found.get(set.name), kept.get(set.name)));
    }
    for (const [index, set] of absent.entries()) {
      const errno = refusal(answers[index]);
      if (errno === undefined) {
        changed.push(`created set "${set.name}"`);
        continue;
      }
      unusable.set(set.name, errno);
      warnings.push(`Cannot create set "${set.name}" of type "${set.type}": ${errno}`);
    }
    this.#unusable = unusable;
    return { changed, warnings, blocked };
  }

  /** Which of the sets `ensure` would have to make. Reads only. */
  async differences(sets: readonly IPSet[]): Promise<readonly string[]> {
    const found = await this.#headers();
    return sets
      .filter((set) => !matches(found.get(set.name), set))
      .map((set) => `no set "${set.name}" of type "${set.type}"`);
  }

  /**
   * In order, one outcome each. Adding a present member is refused with EEXIST and deleting an absent one, or either
   * in an absent set, with ENOENT. A full set grows; only if it cannot is an entry refused with IPSET_ERR_HASH_FULL.
   */
  async apply(operations: readonly EntryOperation[]): Promise<readonly Outcome[]> {
    const outcomes: Outcome[] = operations.map(() => APPLIED);
    for (const wave of entryBatches(operations)) {
      let pending = wave.filter((batch) => {
        const errno = this.#unusable.get(batch.set.name);
        if (errno !== undefined) refuse(outcomes, batch.indexes, errno);
        return errno === undefined;
      });
      while (pending.length > 0) pending = await this.#send(pending, outcomes);
    }
    return outcomes;
  }

  /** The members of those of the sets that are there, in the type and family expected of them, some hundreds at a time. */
  async *list(sets: readonly IPSet[]): AsyncGenerator<ReadonlyMap<SetEntryKey, SetEntry>> {
    for (const set of sets) {
      for await (const { entries } of this.#parts(set)) {
        if (entries.length === 0) continue;
        yield new Map(entries.map((entry) => [entry.key, entry]));
        await yieldToEventLoop();
      }
    }
  }

  /**
   * Removes the sets and what they hold, and the spare that an agent left which was killed while a set grew; absent ones are
   * no matter. One that a rule refers to stays, with a warning.
   */
  destroy(sets: readonly IPSet[]): Promise<SetupReport> {
    return this.#withSpare(() => this.#destroyAll([...sets.map(({ name }) => name), SPARE]));
  }

  async #destroyAll(names: readonly string[]): Promise<SetupReport> {
    const found = await this.#headers();
    const present = names.filter((name) => found.has(name));
    let refusals = await this.#destroy(present);
    for (let attempt = 1; refusals.size > 0 && attempt < DESTROY_ATTEMPTS; attempt++) {
      await this.#sleep(DESTROY_RETRY_MS);
      refusals = await this.#destroy([...refusals.keys()]);
    }
    return {
      changed: present.filter((name) => !refusals.has(name)).map((name) => `destroyed set "${name}"`),
      warnings: [...refusals].map(([name, errno]) => `Cannot destroy set "${name}": ${errno}`),
    };
  }

  /** Sends the batches and writes what was refused into `outcomes`; returns what is still to be sent. */
  async #send(batches: readonly EntryBatch[], outcomes: Outcome[]): Promise<EntryBatch[]> {
    const answers = await this.#request("change members of sets", batches, (writer, protocol, batch) =>
      encodeEntries(writer, protocol, { kind: batch.kind, name: batch.set.name, entries: batch.entries }),
    );
    const rest: EntryBatch[] = [];
    const full: EntryBatch[] = [];
    for (const [index, batch] of batches.entries()) {
      const answer = answers[index];
      if (answer === undefined || answer.ok) continue;
      const line = decodeRefusedLine(answer.request);
      if (line > 0 && isFull(batch, answer.number)) {
        full.push(batchRest(batch, line - 1));
        continue;
      }
      // Line 0: the message was refused as a whole.
      const [from, to] = line === 0 ? [0, batch.entries.length] : [line - 1, line];
      refuse(outcomes, batch.indexes.slice(from, to), entryErrno(batch, answer.number));
      if (to < batch.entries.length) rest.push(batchRest(batch, to));
    }
    return [...rest, ...(await this.#makeRoom(full, outcomes))];
  }

  /** Grows the sets that these batches found full, each once; returns the batches that may be tried again. */
  async #makeRoom(full: readonly EntryBatch[], outcomes: Outcome[]): Promise<readonly EntryBatch[]> {
    const grown = new Map<SetName, boolean>();
    for (const { set } of full)
      if (!grown.has(set.name)) grown.set(set.name, await this.#withSpare(() => this.#grow(set)));
    return full.filter((batch) => {
      if (grown.get(batch.set.name) === true) return true;
      refuse(outcomes, batch.indexes, entryErrno(batch, IPSET_ERR_HASH_FULL));
      return false;
    });
  }

  /** Twice the room. False if there may not be more, or the kernel refuses; the set is then as it was. */
  async #grow(set: IPSet): Promise<boolean> {
    const listed = await this.#list(set);
    if (listed === undefined || listed.header.maxElements >= MOST_ELEMENTS) return false;
    const size = { maxElements: listed.header.maxElements * 2, hashSize: listed.header.hashSize };
    return this.#swapIn(set, size, listed.entries);
  }

  /**
   * Puts a new set with these members in the place of the one of that name, in an instant for the rules that refer to it.
   * False if the kernel refuses any of that; the old one is then as it was.
   */
  async #swapIn(set: IPSet, size: SetSize, entries: readonly SetEntry[]): Promise<boolean> {
    await this.#destroy([SPARE]);
    const filled = accepted(await this.#create([{ name: SPARE, set, size }])) && (await this.#fill(SPARE, entries));
    const swapped = filled && (await this.#swap(SPARE, set.name));
    await this.#destroy([SPARE]);
    return swapped;
  }

  /** Over the socket of dumps, where it waits for its turn: the kernel swaps no set that is being listed. */
  async #swap(from: string, to: string): Promise<boolean> {
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

  #withSpare<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#spareTail.then(work);
    this.#spareTail = result.catch(() => undefined);
    return result;
  }

  async #fill(name: string, entries: readonly SetEntry[]): Promise<boolean> {
    const [batches = []] = entryBatches(entries.map((entry) => ({ kind: "add-entry", entry })));
    return accepted(
      await this.#request(`fill set "${name}"`, batches, (writer, protocol, batch) =>
        encodeEntries(writer, protocol, { kind: "add-entry", name, entries: batch.entries }),
      ),
    );
  }

  #create(
    requests: readonly { readonly name: string; readonly set: IPSet; readonly size: SetSize }[],
  ): Promise<readonly Answer[]> {
    return this.#request("create sets", requests, encodeCreate);
  }

  /** Destroys the sets and says which the kernel would not, and why; an absent one counts as destroyed. */
  async #destroy(names: readonly string[]): Promise<ReadonlyMap<string, Errno>> {
    const answers = await this.#request("destroy sets", names, encodeDestroy);
    const refusals = new Map<string, Errno>();
    names.forEach((name, index) => {
      const errno = refusal(answers[index]);
      if (errno !== undefined && errno !== "ENOENT") refusals.set(name, errno);
    });
    return refusals;
  }

  /** The set as the kernel has it; undefined if there is none, or one of another type. */
  async #list(set: IPSet): Promise<{ readonly header: SetHeader; readonly entries: readonly SetEntry[] } | undefined> {
    let header: SetHeader | undefined;
    const entries: SetEntry[] = [];
    for await (const part of this.#parts(set)) {
      header ??= part.header;
      for (const entry of part.entries) entries.push(entry);
    }
    return header === undefined ? undefined : { header, entries };
  }

  /**
   * The set part by part, the header with the first; none if there is no such set, or one of another type. What waits to be
   * decoded takes a tenth of what it becomes.
   */
  async *#parts(set: IPSet): AsyncGenerator<SetPart> {
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

  /** All sets, ours and others', without their members. */
  async #headers(): Promise<ReadonlyMap<string, SetHeader>> {
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

  async #request<Item>(
    operation: string,
    items: readonly Item[],
    encode: (writer: AttributeWriter, protocol: number, item: Item) => void,
  ): Promise<readonly Answer[]> {
    const protocol = await this.#version();
    return this.#commands.request(operation, items, (writer, item) => encode(writer, protocol, item), NO_REPLY);
  }

  /** The protocol version to speak with this kernel, asked for once. */
  async #version(): Promise<number> {
    if (this.#protocol !== undefined) return this.#protocol;
    const operation = "find ipset in this kernel";
    const [answer] = await this.#commands.request(operation, [undefined], encodeProtocol, DEFAULT_REPLY);
    if (answer === undefined || !answer.ok) {
      const errno = refusal(answer) ?? "EBADMSG";
      // nfnetlink_rcv_msg, for a subsystem that is not there after its module was asked for.
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

function matches(header: SetHeader | undefined, set: IPSet): header is SetHeader {
  if (header?.type !== set.type || header.family !== familyNumber(set.type, set.family)) return false;
  return header.marks || !set.marks;
}

function describeMismatch(set: IPSet, found: SetHeader | undefined, errno: Errno | undefined): string {
  const wanted = `"${set.type}" of family ${familyNumber(set.type, set.family)}`;
  const is = `"${found?.type}" of family ${found?.family}`;
  return `Cannot replace set "${set.name}": it is ${is}, wanted is ${wanted}, and it cannot be destroyed: ${errno}`;
}

function refusal(answer: Answer | undefined): Errno | undefined {
  if (answer === undefined) return "EBADMSG";
  return answer.ok ? undefined : ipsetErrno(answer.number);
}

function accepted(answers: readonly Answer[]): boolean {
  return answers.every(({ ok }) => ok);
}

function isFull(batch: EntryBatch, errno: number): boolean {
  return errno === IPSET_ERR_HASH_FULL && batch.kind === "add-entry" && batch.set.type !== "bitmap:port";
}

function entryErrno(batch: EntryBatch, errno: number): Errno {
  if (errno === IPSET_ERR_EXIST) return batch.kind === "add-entry" ? "EEXIST" : "ENOENT";
  // The types number their own errors from the same start.
  if (errno === IPSET_ERR_HASH_FULL && batch.set.type === "bitmap:port") return "IPSET_ERR_BITMAP_RANGE";
  return ipsetErrno(errno);
}

function refuse(outcomes: Outcome[], indexes: readonly number[], errno: Errno): void {
  for (const index of indexes) outcomes[index] = { ok: false, errno };
}
