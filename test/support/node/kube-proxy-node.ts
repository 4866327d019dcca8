import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { ManifestFolder } from "./agent-process.ts";
import type { TestNode } from "./netns.ts";

const RECORDED = join(import.meta.dirname, "../../fixtures/kube-proxy");

/**
 * Rules that would load modules for all of the guest: br_netfilter, with which bridges behave differently, and xt_ipvs. The one
 * accepts what the rule below it accepts as well, the other is about the node's own requests to a restricted load balancer.
 */
const UNNEEDED = /^.* -m (physdev|ipvs) .*\n/gm;

/** Frontends in the recorded state, each served by the pods that `front` has: two in IPv4, or all of IPv6. */
export const RECORDED_FRONTENDS = {
  clusterIPs: ["10.100.7.1", "fd00:100::7:1"],
  loadBalancerIPs: ["198.51.100.31", "2001:db8:31::1"],
  externalIP: "198.51.100.200",
  port: 80,
  nodePort: 31_080,
} as const;

/**
 * A node with pods a, b and c on which a kube-proxy in ipvs mode was killed: the recorded state, with the addresses of this
 * node and of these pods in the place of the recorded ones.
 */
export class KubeProxyNode {
  readonly #node: TestNode;

  constructor(node: TestNode) {
    this.#node = node;
  }

  /** Lays out what the kube-proxy has left. */
  async layOut(): Promise<void> {
    const [addresses, sets, rules, rules6, servers] = await Promise.all(
      ["ip-addr", "ipset-save", "iptables-save", "ip6tables-save", "ipvsadm-Sn"].map((file) =>
        this.#text(`${file}.txt`),
      ),
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

  /** Writes the objects that the kube-proxy had. */
  async putObjects(manifests: ManifestFolder): Promise<void> {
    const { items } = JSON.parse(await this.#text("objects.json")) as { items: readonly object[] }; // a recorded List
    await manifests.put("recorded.json", items);
  }

  async #text(file: string): Promise<string> {
    const { name, node } = this.#node;
    const pod = (one: string) => this.#node.pod(one);
    const renamed: readonly (readonly [RegExp, string])[] = [
      [/worker-1/g, name],
      [/172\.18\.0\.5\b/g, node.ip],
      [/fd00:18::5\b/g, node.ip6],
      [/10\.200\.1\.11\b/g, pod("a").ip],
      [/10\.200\.2\.11\b/g, pod("b").ip],
      [/10\.200\.2\.12\b/g, pod("c").ip],
      [/fd00:200:0:1::b\b/g, pod("a").ip6],
      [/fd00:200:0:2::b\b/g, pod("b").ip6],
      [/\b10\.200\.0\.0\/16/g, "10.244.0.0/16"],
      [/fd00:200::\/48/g, "fd00:244::/32"],
    ];
    const recorded = await readFile(join(RECORDED, file), "utf8");
    const text = renamed.reduce((before, [from, to]) => before.replace(from, to), recorded);
    return text.replace(UNNEEDED, "");
  }
}
