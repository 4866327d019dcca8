import { readdir, readFile, readlink } from "node:fs/promises";
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

  /** The MTU of each interface. */
  async mtus(): Promise<ReadonlyMap<string, number>> {
    const mtus = new Map<string, number>();
    for (const name of await this.interfaces()) {
      const mtu = Number(await this.#read(`sys/class/net/${name}/mtu`));
      if (mtu > 0) mtus.set(name, mtu);
    }
    return mtus;
  }

  /** The interfaces with a strict reverse path filter, and the packets that it has dropped. */
  async reversePath(): Promise<{ readonly strict: readonly string[]; readonly dropped: number }> {
    const conf = "proc/sys/net/ipv4/conf";
    const names = (await this.#list(conf)).filter((name) => !NO_PACKETS_ARRIVE.has(name));
    const ofAll = Number((await this.#read(`${conf}/all/rp_filter`)) ?? 0);
    const strict: string[] = [];
    // The kernel uses the larger of the two.
    for (const name of names)
      if (Math.max(ofAll, Number((await this.#read(`${conf}/${name}/rp_filter`)) ?? 0)) === 1) strict.push(name);
    return { strict, dropped: reversePathDrops((await this.#read("proc/net/netstat")) ?? "") };
  }

  /**
   * The programs that manage an interface by their own files below /run: NetworkManager, and systemd-networkd as
   * "systemd-network". None if the files of the host cannot be seen.
   */
  async managers(name: string): Promise<readonly string[]> {
    const index = await this.#read(`sys/class/net/${name}/ifindex`);
    if (index === undefined) return [];
    const managed = /^managed=true$/m.test((await this.#read(`run/NetworkManager/devices/${index}`)) ?? "");
    const state = /^ADMIN_STATE=(\w+)$/m.exec((await this.#read(`run/systemd/netif/links/${index}`)) ?? "")?.[1];
    const configured = state === "configured" || state === "configuring";
    return [...(managed ? ["NetworkManager"] : []), ...(configured ? ["systemd-network"] : [])];
  }

  /** The process that listens at a TCP port of this network namespace, as "kube-proxy (process 12)"; "" if unknown. */
  async listener(port: number): Promise<string> {
    const tables = await Promise.all(["tcp", "tcp6"].map((name) => this.#read(`proc/net/${name}`)));
    const inodes = new Set(tables.flatMap((text) => listeningInodes(text ?? "", port)));
    if (inodes.size === 0) return "";
    for (const pid of (await this.#list("proc")).filter((name) => /^\d+$/.test(name))) {
      const links = (await this.#list(`proc/${pid}/fd`)).map((fd) =>
        readlink(join(this.#root, `proc/${pid}/fd/${fd}`)).catch(() => ""),
      );
      if (!(await Promise.all(links)).some((link) => inodes.has(link))) continue;
      return `${await this.#read(`proc/${pid}/comm`)} (process ${pid})`;
    }
    return "";
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

/** No packet of a client arrives at these, or they are no interfaces. */
const NO_PACKETS_ARRIVE: ReadonlySet<string> = new Set(["all", "default", "lo", "kube-ipvs0"]);

/** The counter IPReversePathFilter in /proc/net/netstat: a line "TcpExt:" with names, and one with values. */
function reversePathDrops(text: string): number {
  const [names = [], values = []] = text
    .split("\n")
    .filter((line) => line.startsWith("TcpExt:"))
    .map((line) => line.split(/\s+/));
  return Number(values[names.indexOf("IPReversePathFilter")] ?? 0);
}

/** The inodes of sockets in the state LISTEN (0A) at the port, as their links name them: "socket:[12345]". */
function listeningInodes(text: string, port: number): readonly string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return text
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local = "", , state]) => local.endsWith(suffix) && state === "0A")
    .map((columns) => `socket:[${columns[9]}]`);
}
