import type { Errno } from "../../../src/model/kernel/errno.ts";
import type { SetEntry, SetEntryKey, SetName } from "../../../src/model/kernel/ipset.ts";

/** The sets of a kernel, with its rules and errnos. */
export class SetTable {
  readonly #sets = new Map<SetName, { readonly members: Map<string, SetEntry>; max: number }>();

  /** Creates an empty set; false if it exists. */
  create(name: SetName): boolean {
    if (this.#sets.has(name)) return false;
    this.#sets.set(name, { members: new Map(), max: Number.POSITIVE_INFINITY });
    return true;
  }

  /** Destroys a set; false if it does not exist. */
  destroy(name: SetName): boolean {
    return this.#sets.delete(name);
  }

  /** Limits the number of members of a set. */
  limit(name: SetName, members: number): void {
    const set = this.#sets.get(name);
    if (set !== undefined) set.max = members;
  }

  /** Returns the members of each set. */
  *contents(): Generator<ReadonlyMap<SetEntryKey, SetEntry>> {
    for (const { members } of this.#sets.values())
      yield new Map(Array.from(members.values(), (entry) => [entry.key, entry]));
  }

  add(entry: SetEntry): Errno | undefined {
    const set = this.#sets.get(entry.set.name);
    if (set === undefined) return "ENOENT";
    if (set.members.has(identityOf(entry))) return "EEXIST";
    if (set.members.size >= set.max) return "IPSET_ERR_HASH_FULL";
    set.members.set(identityOf(entry), entry);
    return undefined;
  }

  delete(entry: SetEntry): Errno | undefined {
    return this.#sets.get(entry.set.name)?.members.delete(identityOf(entry)) === true ? undefined : "ENOENT";
  }
}

/** Returns the text by which the kernel identifies a member, which does not include its mark. */
function identityOf({ text }: SetEntry): string {
  return text.replace(/ .*/, "");
}
