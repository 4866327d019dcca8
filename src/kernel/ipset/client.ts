import { setTimeout as sleep, setImmediate as yieldToEventLoop } from "node:timers/promises";
import type { Errno } from "../../model/kernel/errno.ts";
import { type IPSet, MOST_MEMBERS, type SetEntry, type SetEntryKey, type SetName } from "../../model/kernel/ipset.ts";
import type { SetQuestion } from "../../model/kernel/set-question.ts";
import type { Outcome, StepReport } from "../kernel.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";
import { batchRest, type EntryBatch, type EntryOperation, entryBatches } from "./batches.ts";
import { decodeRefusedLine, type SetHeader, type SetSize } from "./codec.ts";
import { familyNumber, IPSET_ERR_EXIST, IPSET_ERR_HASH_FULL, ipsetErrno } from "./constants.ts";
import { IPSetRequests, matches } from "./requests.ts";
import { areIn, fillsOf, type SetFill } from "./set-queries.ts";

/**
 * The size that kube-proxy uses: with another maxelem its own `ipset create -exist` fails after a return to kube-proxy.
 */
const FIRST_SIZE: SetSize = { maxElements: 65_536, hashSize: 1024 };

/**
 * Temporary name of a set that will replace another. If the agent is killed meanwhile, the set is left over, and the
 * next `ensure` or `destroy` removes it.
 */
const SPARE = "KUBE-IPVS-SPARE";

/**
 * Attempts to destroy a busy set: nf_tables frees deleted rules in a work queue, some milliseconds after it
 * acknowledges the deletion; until then their sets are busy.
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

/** `blocked`: a set of another type remains because a rule or another set refers to it. */
export type EnsureReport = StepReport & { readonly blocked: boolean };

/** Creates, changes, reads and destroys the ipsets of this network namespace. */
export class IPSetClient {
  readonly #requests: IPSetRequests;
  readonly #sleep: (ms: number) => Promise<unknown>;
  /** Serialises the users of the temporary set: a sync may grow a set while a resync creates sets. */
  #spareTail: Promise<unknown> = Promise.resolve();
  /** Sets that cannot hold entries of the agent, with the reason. */
  #unusable: ReadonlyMap<SetName, Errno> = new Map();

  constructor(options: IPSetClientOptions) {
    this.#requests = new IPSetRequests(options.commands, options.dumps);
    this.#sleep = options.sleep ?? sleep;
  }

  /**
   * Creates the missing sets. A set of the correct type and family is kept, whatever its size. Any other is replaced;
   * rules that refer to it then refer to the new set if the kernel allows that, which it does within one type. A set
   * that cannot be replaced is blocked: the report has a warning, and its entries are refused with
   * IPSET_ERR_TYPE_MISMATCH from then on.
   */
  ensure(sets: readonly IPSet[]): Promise<EnsureReport> {
    return this.#withSpare(() => this.#ensure(sets));
  }

  async #ensure(sets: readonly IPSet[]): Promise<EnsureReport> {
    const found = await this.#requests.headers();
    if (found.has(SPARE)) await this.#requests.destroy([SPARE]);
    const missing = sets.filter((set) => !matches(found.get(set.name), set));
    const kept = await this.#requests.destroy(missing.map(({ name }) => name).filter((name) => found.has(name)));
    const absent = missing.filter(({ name }) => !kept.has(name));
    const errnos = await this.#requests.create(absent.map((set) => ({ name: set.name, set, size: FIRST_SIZE })));
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
      const errno = errnos[index];
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

  /** See `fillsOf`. */
  fills(sets: readonly IPSet[]): Promise<readonly SetFill[]> {
    return fillsOf(this.#requests, sets);
  }

  /** See `areIn`. */
  contain(questions: readonly SetQuestion[]): Promise<readonly (boolean | undefined)[]> {
    return areIn(this.#requests, questions);
  }

  /** Describes the sets that `ensure` would create or replace. Reads only. */
  async differences(sets: readonly IPSet[]): Promise<readonly string[]> {
    const found = await this.#requests.headers();
    return sets
      .filter((set) => !matches(found.get(set.name), set))
      .map((set) => `set "${set.name}" of type "${set.type}" is missing`);
  }

  /**
   * Applies the operations in order and returns one outcome for each. EEXIST refuses the addition of a present member;
   * ENOENT refuses the deletion of an absent member, and every operation on an absent set. A full set grows; an entry
   * is refused with IPSET_ERR_HASH_FULL only if the set cannot grow.
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

  /** Returns the members of those of the sets that exist with the expected type and family, some hundreds at a time. */
  async *list(sets: readonly IPSet[]): AsyncGenerator<ReadonlyMap<SetEntryKey, SetEntry>> {
    for (const set of sets) {
      for await (const { entries } of this.#requests.parts(set)) {
        if (entries.length === 0) continue;
        yield new Map(entries.map((entry) => [entry.key, entry]));
        await yieldToEventLoop();
      }
    }
  }

  /**
   * Removes the sets, and the temporary set that remains if an agent was killed while it replaced a set; an absent set
   * is not an error. A set that a rule refers to stays, with a warning.
   */
  destroy(sets: readonly IPSet[]): Promise<StepReport> {
    return this.#withSpare(() => this.#destroyAll([...sets.map(({ name }) => name), SPARE]));
  }

  async #destroyAll(names: readonly string[]): Promise<StepReport> {
    const found = await this.#requests.headers();
    const present = names.filter((name) => found.has(name));
    let refusals = await this.#requests.destroy(present);
    for (let attempt = 1; refusals.size > 0 && attempt < DESTROY_ATTEMPTS; attempt++) {
      await this.#sleep(DESTROY_RETRY_MS);
      refusals = await this.#requests.destroy([...refusals.keys()]);
    }
    return {
      changed: present.filter((name) => !refusals.has(name)).map((name) => `destroyed set "${name}"`),
      warnings: [...refusals].map(([name, errno]) => `Cannot destroy set "${name}": ${errno}`),
    };
  }

  /**
   * Replaces each of the sets whose maximum number of members is not that of kube-proxy, whose `ipset create -exist` fails
   * otherwise. Members beyond that number are left out, with a warning. Absent sets stay absent.
   */
  resetSizes(sets: readonly IPSet[]): Promise<StepReport> {
    return this.#withSpare(async () => {
      const found = await this.#requests.headers();
      const changed: string[] = [];
      const warnings: string[] = [];
      for (const set of sets.filter((candidate) => hasOtherSize(found.get(candidate.name), candidate))) {
        const { isDone, lost } = await this.#resetSize(set);
        if (isDone) changed.push(`replaced set "${set.name}" by one for ${FIRST_SIZE.maxElements} members`);
        else warnings.push(`Cannot replace set "${set.name}" by one for ${FIRST_SIZE.maxElements} members`);
        if (isDone && lost > 0)
          warnings.push(`Set "${set.name}" lost ${lost} members: kube-proxy has no room for them`);
      }
      return { changed, warnings };
    });
  }

  async #resetSize(set: IPSet): Promise<{ readonly isDone: boolean; readonly lost: number }> {
    const entries = (await this.#requests.read(set))?.entries ?? [];
    const kept = entries.slice(0, FIRST_SIZE.maxElements);
    return { isDone: await this.#swapIn(set, FIRST_SIZE, kept), lost: entries.length - kept.length };
  }

  /** Sends the batches and writes the refusals into `outcomes`; returns the batches that must be sent again. */
  async #send(batches: readonly EntryBatch[], outcomes: Outcome[]): Promise<EntryBatch[]> {
    const answers = await this.#requests.changeMembers(batches);
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
      // Line 0: the whole message was refused.
      const [from, to] = line === 0 ? [0, batch.entries.length] : [line - 1, line];
      refuse(outcomes, batch.indexes.slice(from, to), entryErrno(batch, answer.number));
      if (to < batch.entries.length) rest.push(batchRest(batch, to));
    }
    return [...rest, ...(await this.#makeRoom(full, outcomes))];
  }

  /** Grows each set that was full for one of these batches, once; returns the batches that can be sent again. */
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

  /**
   * Doubles the size of a set. Returns false and leaves the set unchanged if it has the maximum size or the kernel
   * refuses.
   */
  async #grow(set: IPSet): Promise<boolean> {
    const listed = await this.#requests.read(set);
    if (listed === undefined || listed.header.maxElements >= MOST_MEMBERS) return false;
    const size = { maxElements: listed.header.maxElements * 2, hashSize: listed.header.hashSize };
    return this.#swapIn(set, size, listed.entries);
  }

  /**
   * Replaces the set of that name by a new set with these members; for the rules that refer to it, the change is
   * atomic. Returns false and leaves the old set unchanged if the kernel refuses.
   */
  async #swapIn(set: IPSet, size: SetSize, entries: readonly SetEntry[]): Promise<boolean> {
    await this.#requests.destroy([SPARE]);
    const [refusal] = await this.#requests.create([{ name: SPARE, set, size }]);
    const filled = refusal === undefined && (await this.#requests.fill(SPARE, entries));
    const swapped = filled && (await this.#requests.swap(SPARE, set.name));
    await this.#requests.destroy([SPARE]);
    return swapped;
  }

  #withSpare<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#spareTail.then(work);
    this.#spareTail = result.catch(() => undefined);
    return result;
  }
}

function hasOtherSize(header: SetHeader | undefined, set: IPSet): boolean {
  if (set.type === "bitmap:port" || !matches(header, set)) return false;
  return header.maxElements !== FIRST_SIZE.maxElements;
}

function describeMismatch(set: IPSet, found: SetHeader | undefined, errno: Errno | undefined): string {
  const wanted = `"${set.type}" of family ${familyNumber(set.type, set.family)}`;
  const is = `"${found?.type}" of family ${found?.family}`;
  return `Cannot replace set "${set.name}": it is ${is} instead of ${wanted}, and it cannot be destroyed: ${errno}`;
}

function isFull(batch: EntryBatch, errno: number): boolean {
  return errno === IPSET_ERR_HASH_FULL && batch.kind === "add-entry" && batch.set.type !== "bitmap:port";
}

function entryErrno(batch: EntryBatch, errno: number): Errno {
  if (errno === IPSET_ERR_EXIST) return batch.kind === "add-entry" ? "EEXIST" : "ENOENT";
  // Set types number their own errors from the same first number.
  if (errno === IPSET_ERR_HASH_FULL && batch.set.type === "bitmap:port") return "IPSET_ERR_BITMAP_RANGE";
  return ipsetErrno(errno);
}

function refuse(outcomes: Outcome[], indexes: readonly number[], errno: Errno): void {
  for (const index of indexes) outcomes[index] = { ok: false, errno };
}
