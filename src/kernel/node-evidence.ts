import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** Reads facts about the node from /proc and /sys; what cannot be read is absent. Changes nothing. */
export class NodeEvidenceReader {
  readonly #root: string;

  constructor(root = "/") {
    this.#root = root;
  }

  /** The names of all processes, each once. */
  async processes(): Promise<readonly string[]> {
    const pids = (await this.#list("proc")).filter((name) => /^\d+$/.test(name));
    const names = await Promise.all(pids.map((pid) => this.#read(`proc/${pid}/comm`)));
    return [...new Set(names.filter((name) => name !== undefined && name !== ""))].map(String).sort();
  }

  interfaces(): Promise<readonly string[]> {
    return this.#list("sys/class/net");
  }

  /** The fill of the conntrack table, and the packets that it has dropped. */
  async conntrack(): Promise<{ readonly count: number; readonly max: number; readonly dropped: number } | undefined> {
    const count = await this.#read("proc/sys/net/netfilter/nf_conntrack_count");
    const max = await this.#read("proc/sys/net/netfilter/nf_conntrack_max");
    if (count === undefined || max === undefined) return undefined;
    return {
      count: Number(count),
      max: Number(max),
      dropped: droppedIn((await this.#read("proc/net/stat/nf_conntrack")) ?? ""),
    };
  }

  async #read(path: string): Promise<string | undefined> {
    return await readFile(join(this.#root, path), "utf8").then(
      (text) => text.trim(),
      () => undefined,
    );
  }

  async #list(path: string): Promise<readonly string[]> {
    return await readdir(join(this.#root, path)).catch(() => []);
  }
}

/**
 * The sum over all CPUs of "drop" and "early_drop" in /proc/net/stat/nf_conntrack, whose first line names the columns:
 *
 *     entries  clashres found new invalid ignore delete chainlength insert insert_failed drop early_drop ...
 *     00000012 00000000 ...
 */
function droppedIn(text: string): number {
  const [head = "", ...lines] = text.split("\n");
  const columns = head.trim().split(/\s+/);
  const places = ["drop", "early_drop"].map((name) => columns.indexOf(name)).filter((place) => place >= 0);
  return lines
    .map((line) => line.trim().split(/\s+/))
    .reduce(
      (sum, values) => sum + places.reduce((all, place) => all + Number.parseInt(values[place] ?? "0", 16), 0),
      0,
    );
}
