import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { ManifestFolder } from "./agent-process.ts";
import type { TestNode } from "./netns.ts";

const RECORDED = join(import.meta.dirname, "../../fixtures/kube-proxy");

/**
 * Rules that would load modules for all of the guest: br_netfilter, with which bridges behave differently, and those that count or
 * match SCTP, which a guest lacks. The first accept what the rule below them accepts as well.
 */
const UNNEEDED = /^.* -m (physdev|nfacct|sctp) .*\n/gm;

/** The recorded addresses of the pods, by the name of the pod that gets each. */
const RECORDED_PODS: Readonly<Record<string, readonly RegExp[]>> = {
  a: [/10\.200\.1\.11\b/g, /fd00:200:0:1::b\b/g],
  b: [/10\.200\.2\.11\b/g, /fd00:200:0:2::b\b/g],
  c: [/10\.200\.2\.12\b/g],
  "agent-local": [/10\.200\.1\.16\b/g],
  "games-local": [/10\.200\.1\.14\b/g],
  "games-far": [/10\.200\.2\.14\b/g],
  far: [/10\.200\.2\.15\b/g],
  signal: [/10\.200\.1\.18\b/g, /fd00:200:0:1::12\b/g],
};

/** Frontends in the recorded state, each served by the pods that `front` has: two in IPv4, or all of IPv6. */
export const RECORDED_FRONTENDS = {
  clusterIPs: ["10.100.7.1", "fd00:100::7:1"],
  loadBalancerIPs: ["198.51.100.31", "2001:db8:31::1"],
  externalIP: "198.51.100.200",
  port: 80,
  nodePort: 31_080,
} as const;

/** Lines of the tools of Debian, sorted. */
export interface LeftState {
  readonly servers: readonly string[];
  readonly sets: readonly string[];
  readonly rules: readonly string[];
  readonly rules6: readonly string[];
}

/**
 * A node with pods a, b and c on which a kube-proxy in ipvs mode was killed: the recorded state, with the addresses of this
 * node and of these pods in the place of the recorded ones.
 */
export class KubeProxyNode {
  readonly #node: TestNode;

  constructor(node: TestNode) {
    this.#node = node;
  }

  /** Lays out what the kube-proxy has left: the recorded one, or an older one by `olderLayout`. */
  async layOut(release: "recorded" | "older" = "recorded"): Promise<void> {
    const [addresses, sets, rules, rules6, servers] = await Promise.all(
      ["ip-addr", "ipset-save", "iptables-save", "ip6tables-save", "ipvsadm-Sn"].map(async (file) => {
        // Linux 5.10 has no bucket size of sets; kube-proxy sets none.
        const text = (await this.#ipvsText(`${file}.txt`)).replace(/ bucketsize \d+ initval \S+/g, "");
        return release === "older" ? olderLayout(text) : text;
      }),
    );
    const bound = Array.from(`${addresses}`.matchAll(/inet6? (\S+) scope global/g), ([, address]) => address);
    const sysctls = ["ipv4.ip_forward", "ipv6.conf.all.forwarding", "ipv4.vs.conntrack"].map((name) => `net.${name}=1`);
    const { shell } = this.#node;
    await shell.run(`sysctl -qw ${sysctls.join(" ")}; ip link add kube-ipvs0 type dummy`);
    await shell.run(bound.map((address) => `ip addr add ${address} dev kube-ipvs0`).join("\n"));
    for (const [program, input] of [
      ["ipset restore", sets],
      ["iptables-restore", rules],
      ["ip6tables-restore", rules6],
      ["ipvsadm -R", servers],
    ])
      await shell.run(`${program} <<'END'\n${input}\nEND`);
  }

  /**
   * Does what the first sync of kube-proxy does on a node that has any state: its commands, in their order. Throws when one
   * of them fails that kube-proxy needs.
   */
  async firstSync(): Promise<void> {
    const { shell } = this.#node;
    const [sets = "", servers = "", ...rules] = await Promise.all(
      ["ipset-save", "ipvsadm-Sn", "iptables-save", "ip6tables-save"].map((file) => this.#ipvsText(`${file}.txt`)),
    );
    for (const [index, tool] of ["iptables", "ip6tables"].entries())
      await shell.run(chainsAndJumps(tool, rules[index] ?? "", await shell.run(`${tool}-save`)).join("\n"));
    // `ipset create -exist` fails for a set of another type, family or size.
    const creations = linesOf(sets, /^create /).map((line) => line.replace(/ bucketsize.*/, ""));
    await shell.run(`ipset restore -exist <<'END'\n${creations.join("\n")}\nEND`);
    const present = linesOf(await shell.run("ipset save"), /^add /);
    const wanted = linesOf(sets, /^add /);
    const names = new Set(creations.map((line) => line.split(" ")[1]));
    const extras = present.filter((line) => !wanted.includes(line) && names.has(line.split(" ")[1]));
    const missing = wanted.filter((line) => !present.includes(line));
    const changes = [...extras.map((line) => line.replace("add", "del")), ...missing];
    await shell.run(`ipset restore -exist <<'END'\n${changes.join("\n")}\nEND`);
    for (const [index, tool] of ["iptables", "ip6tables"].entries())
      await shell.run(`${tool}-restore -w 5 --noflush --counters <<'END'\n${ownChains(rules[index] ?? "")}\nEND`);
    await this.#syncServers(servers);
  }

  /** Edits what is there, adds what is missing and deletes what is not wanted, as kube-proxy does. */
  async #syncServers(servers: string): Promise<void> {
    const { shell } = this.#node;
    const present = (await shell.run("ipvsadm -Sn")).trim().split("\n");
    const serverOf = (line: string) => line.split(" ").slice(1, 3).join(" ");
    const wanted = servers.trim().split("\n");
    const known = new Set(present.filter((line) => line.startsWith("-A")).map(serverOf));
    const have = new Set(present);
    const edits = wanted.flatMap((line) => {
      if (line.startsWith("-A")) return known.has(serverOf(line)) ? [line.replace("-A", "-E")] : [line];
      return have.has(line) ? [] : [line];
    });
    const all = new Set(wanted.filter((line) => line.startsWith("-A")).map(serverOf));
    // It fails to delete a virtual server by firewall mark.
    const orphans = [...known].filter((name) => !all.has(name) && !name.startsWith("-f"));
    const commands = [...edits, ...orphans.map((name) => `-D ${name}`)];
    await shell.run(`ipvsadm -R <<'END'\n${commands.join("\n")}\nEND`);
  }

  /** What a node has that a kube-proxy in ipvs mode can leave: virtual servers, sets with members, chains and rules. */
  async state(): Promise<LeftState> {
    const { shell } = this.#node;
    const printed = async (command: string, pattern: RegExp) =>
      linesOf(await shell.run(command), pattern)
        .map((line) => line.replace(/ \[\d+:\d+\]$| bucketsize.*/, ""))
        .toSorted();
    return {
      servers: await printed("ipvsadm -Sn", /./),
      sets: await printed("ipset save", /./),
      rules: await printed("iptables-save", /^(-A|:KUBE)/),
      rules6: await printed("ip6tables-save", /^(-A|:KUBE)/),
    };
  }

  /** Lays out the rules that a kube-proxy in iptables mode has left, over whatever is there. */
  async layOutIptablesMode(): Promise<void> {
    for (const tool of ["iptables", "ip6tables"]) {
      const rules = await this.#text(`iptables/${tool}-save.txt`);
      await this.#node.shell.run(`${tool}-restore --noflush <<'END'\n${rules}\nEND`);
    }
  }

  /**
   * Lays out the tables of a kube-proxy in nftables mode. Returns false on a kernel that has no tables of nf_tables for IPv4.
   */
  async layOutNftablesMode(): Promise<boolean> {
    const { shell } = this.#node;
    const tables = await this.#text("nftables/nft-list.txt");
    try {
      await shell.run(`nft -f - <<'END'\n${tables}\nEND`);
      return true;
    } catch (error) {
      if (String(error).includes("Operation not supported")) return false;
      throw error;
    }
  }

  /** Writes the objects that the kube-proxy had. */
  async putObjects(manifests: ManifestFolder): Promise<void> {
    for (const folder of ["", "ipvs-added/"]) {
      const { items } = JSON.parse(await this.#text(`${folder}objects.json`)) as { items: readonly object[] }; // a List
      await manifests.put(`${folder === "" ? "recorded" : "added"}.json`, items);
    }
  }

  /** The recorded text of the mode ipvs with the added lines; those of rules belong to the table nat. */
  async #ipvsText(file: string): Promise<string> {
    const recorded = await this.#text(`ipvs/${file}`);
    const added = await this.#text(`ipvs-added/${file}`).catch(() => "");
    const nat = recorded.indexOf("*nat");
    const end = file.startsWith("ip6tables") ? recorded.indexOf("COMMIT", nat) : recorded.length;
    return recorded.slice(0, end) + added + recorded.slice(end);
  }

  async #text(file: string): Promise<string> {
    const { name, node } = this.#node;
    const renamed: readonly (readonly [RegExp, string])[] = [
      ...this.#node.pods.flatMap(({ name: pod, ip, ip6 }) =>
        (RECORDED_PODS[pod] ?? []).map((recorded) => [recorded, recorded.source.startsWith("fd") ? ip6 : ip] as const),
      ),
      [/203\.0\.113\.0\/25/g, "192.168.1.0/29"],
      [/worker-1/g, name],
      [/172\.18\.0\.5\b/g, node.ip],
      [/fd00:18::5\b/g, node.ip6],
      [/\b10\.200\.0\.0\/16/g, "10.244.0.0/16"],
      [/fd00:200::\/48/g, "fd00:244::/32"],
    ];
    const recorded = await readFile(join(RECORDED, file), "utf8");
    const text = renamed.reduce((before, [from, to]) => before.replace(from, to), recorded);
    return text.replace(UNNEEDED, "");
  }
}

/**
 * The layout of an older kube-proxy (1.33) with older tools: rules without random source ports, no
 * chain for load balancers that exclude the node, and the chain of the kubelet of that time.
 */
function olderLayout(recorded: string): string {
  return recorded
    .replace(/ --random-fully/g, "")
    .replace(/^.*KUBE-IPVS-OUT-FILTER.*\n/gm, "")
    .replace(/^\*nat\n/m, "*nat\n:KUBE-MARK-DROP - [0:0]\n")
    .replace(/(^:KUBE-SERVICES .*\n)(?=-A)/m, "$1-A KUBE-MARK-DROP -j MARK --set-xmark 0x8000/0x8000\n");
}

function linesOf(text: string, pattern: RegExp): readonly string[] {
  return text.split("\n").filter((line) => pattern.test(line));
}

/** The commands that create the chains which are missing, and insert the jumps which are missing. */
function chainsAndJumps(tool: string, wanted: string, present: string): readonly string[] {
  const have = tables(present);
  return [...tables(wanted)].flatMap(([table, lines]) => {
    const missing = lines.filter((line) => have.get(table)?.includes(line) !== true);
    return missing.flatMap((line) => {
      const chain = /^:(KUBE-\S+)/.exec(line)?.[1];
      if (chain !== undefined) return [`${tool} -w 5 -t ${table} -N ${chain}`];
      return /^-A [A-Z]+ /.test(line) ? [`${tool} -w 5 -t ${table} ${line.replace("-A", "-I")}`] : [];
    });
  });
}

/** The chains and rules of each table, without counters. */
function tables(saved: string): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  let lines: string[] = [];
  for (const line of saved.split("\n")) {
    if (line.startsWith("*")) {
      lines = [];
      found.set(line.slice(1), lines);
    } else lines.push(line.replace(/ \[\d+:\d+\]$/, ""));
  }
  return found;
}

/** The input of iptables-restore that writes the chains of kube-proxy. */
function ownChains(saved: string): string {
  return linesOf(saved, /^(\*|:KUBE-|-A KUBE-|COMMIT)/).join("\n");
}
