import { join } from "node:path";
import { ended, type Namespace } from "../node/namespace.ts";
import type { TestNode } from "../node/netns.ts";
import type { Cluster } from "../node/nodes.ts";
import type { Program } from "../node/program.ts";
import { patient } from "../time/patience.ts";
import { firstLine } from "../traffic/client.ts";

const SCRIPT = join(import.meta.dirname, "l2.pl");

/** The device of the host outside on the link. */
const LAN = "lan";

/** One link for all nodes of a cluster and the host outside: a bridge there. The host outside has all its addresses on it. */
export class Link {
  readonly #cluster: Cluster;
  readonly #outside: Namespace;

  private constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#outside = cluster.node(1).outside.namespace;
  }

  static async create(cluster: Cluster): Promise<Link> {
    const made = new Link(cluster);
    const commands = [
      `link add ${LAN} type bridge`,
      `link set ${LAN} up`,
      ...cluster.nodes.flatMap((node, index) => [
        `address flush dev ${node.name} scope global`,
        `link set ${node.name} master ${LAN}`,
        `address add ${node.outside.ip}/24 dev ${LAN}`,
        `address add ${node.outside.ip6}/64 dev ${LAN} nodad`,
        `route replace 10.244.${index + 1}.0/24 via ${node.node.ip}`,
        `route replace fd00:244:${index + 1}::/64 via ${node.node.ip6}`,
      ]),
    ];
    await made.#outside.output(["ip", "-batch", "-"], `${commands.join("\n")}\n`);
    return made;
  }

  /**
   * Returns the names of the nodes that answer ARP requests of the host outside for the address. The fences are addresses for
   * which announcers answer: a program answers later than the kernel of its node, and in the order of the requests.
   */
  async answering(address: string, ...fences: readonly string[]): Promise<readonly string[]> {
    const { nodes } = this.#cluster;
    const [first] = nodes;
    const all = [...nodes.map(({ node }) => node.ip), ...fences];
    const seconds = String(Math.ceil(patient(5_000) / 1_000));
    const words = ["perl", SCRIPT, "ask", LAN, seconds, first?.outside.ip ?? "", address, ...all];
    return this.#names((await this.#outside.output(words)).trim().split(" "));
  }

  /** Returns the name of the node to which the host outside sends packets for the address; of its last ones. */
  async owner(address: string): Promise<readonly string[]> {
    const text = await this.#outside.output(["ip", "neighbour", "show", address, "dev", LAN]);
    return this.#names([/lladdr (\S+)/.exec(text)?.[1] ?? ""]);
  }

  /** Has the host outside forget who has which address. */
  async forget(): Promise<void> {
    await this.#outside.output(["ip", "neighbour", "flush", "dev", LAN]);
  }

  async #names(hardware: readonly string[]): Promise<readonly string[]> {
    const names = await Promise.all(
      this.#cluster.nodes.map(async (node) => {
        const text = await node.prints("ip -o link show eth0");
        return hardware.some((address) => address !== "" && text.includes(address)) ? [node.name] : [];
      }),
    );
    return names.flat();
  }
}

/** Announces addresses on eth0 of a node as the speaker of MetalLB does, until it is stopped. */
export class Announcer {
  readonly #program: Program;

  private constructor(program: Program) {
    this.#program = program;
  }

  /** Resolves when it answers. */
  static async start({ node }: TestNode, addresses: readonly string[]): Promise<Announcer> {
    const program = node.namespace.start(["perl", SCRIPT, "announce", "eth0", ...addresses]);
    await firstLine(program);
    return new Announcer(program);
  }

  async stop(): Promise<void> {
    await ended(this.#program);
  }
}

/** Gives eth0 of a node the addresses and announces them, as kube-vip does on the node that leads. */
export async function takeAddresses(node: TestNode, addresses: readonly string[]): Promise<void> {
  await node.prints(
    addresses
      .map(
        (address) =>
          `ip address add ${withLength(address)} dev eth0 preferred_lft 0${address.includes(":") ? " nodad" : ""}`,
      )
      .join("\n"),
  );
  await claim(node, addresses);
}

/**
 * Announces addresses of a node once. Linux ignores an announcement within a second of the last change of its entry (sysctl locktime), so kube-vip
 * and MetalLB repeat it.
 */
export async function claim({ node }: TestNode, addresses: readonly string[]): Promise<void> {
  await node.namespace.output(["perl", SCRIPT, "claim", "eth0", ...addresses]);
}

/** Takes the addresses from eth0 of a node, as kube-vip does on a node that leads no more. */
export async function giveUpAddresses(node: TestNode, addresses: readonly string[]): Promise<void> {
  await node.prints(addresses.map((address) => `ip address delete ${withLength(address)} dev eth0`).join("\n"));
}

function withLength(address: string): string {
  return `${address}/${address.includes(":") ? 128 : 32}`;
}
