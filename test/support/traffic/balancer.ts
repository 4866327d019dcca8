import type { TestNode } from "../node/netns.ts";
import type { Cluster } from "../node/nodes.ts";
import { Shell } from "../node/shell.ts";

export interface Balanced {
  /** The address that it has for the Service; nodes get packets for it as they are. */
  readonly vip: string;
  readonly port: number;
  /** Where it asks the nodes whether they want traffic; without, all do. */
  readonly checkPort?: number;
}

/**
 * A load balancer between the host outside and all nodes, as clouds have them: new connections go in turn to the nodes
 * whose health check port says 200, known ones stay at their node. It is IPVS too, but in the kernel of the host outside,
 * by direct routing, and ipvsadm sets it up.
 */
export class Balancer implements AsyncDisposable {
  readonly #cluster: Cluster;
  readonly #said: Balanced;
  readonly #shell: Shell;

  private constructor(cluster: Cluster, said: Balanced) {
    this.#cluster = cluster;
    this.#said = said;
    this.#shell = new Shell(cluster.node(1).outside.namespace);
  }

  static async create(cluster: Cluster, said: Balanced): Promise<Balancer> {
    const made = new Balancer(cluster, said);
    await cluster.route(said.vip, cluster.node(1));
    const server = made.#server();
    const reals = made.#reals().map((real) => `ipvsadm -a ${server} -r ${real} -g -w 0`);
    await made.#shell.run([`ipvsadm -A ${server} -s rr`, ...reals].join("\n"));
    await made.check();
    return made;
  }

  /** Asks all nodes once, and does what they say from now on. */
  async check(): Promise<void> {
    const weights = await Promise.all(this.#cluster.nodes.map(async (node) => ((await this.#wants(node)) ? 1 : 0)));
    const lines = this.#reals().map((real, index) => `ipvsadm -e ${this.#server()} -r ${real} -g -w ${weights[index]}`);
    await this.#shell.run(lines.join("\n"));
  }

  async #wants({ node, outside }: TestNode): Promise<boolean> {
    const { checkPort } = this.#said;
    if (checkPort === undefined) return true;
    return (await this.#cluster.client(outside).get(node.ip, checkPort, "/")).status === 200;
  }

  #server(): string {
    return `-t ${socketText(this.#said.vip, this.#said.port)}`;
  }

  #reals(): readonly string[] {
    const { vip, port } = this.#said;
    return this.#cluster.nodes.map(({ node }) => socketText(vip.includes(":") ? node.ip6 : node.ip, port));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#shell.run(`ipvsadm -D ${this.#server()}`);
    await this.#shell[Symbol.asyncDispose]();
  }
}

function socketText(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
