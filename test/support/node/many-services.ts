import { serviceObject, sliceObject } from "../objects/builders.ts";
import type { LoadTarget } from "../traffic/load.ts";
import type { TestNode } from "./netns.ts";

/** A Service with the pods a and b as endpoints, in one family. */
interface OneOfMany {
  readonly name: string;
  readonly ip: string;
  readonly protocol: "TCP" | "UDP";
  readonly port: number;
  readonly targetPort: number;
  /** 0 for none. */
  readonly nodePort: number;
}

/**
 * Many Services, of both families, TCP and UDP, some with a NodePort: as objects, and as lines of the tools with which a
 * kube-proxy in ipvs mode would have programmed them. They are laid out over a recorded state, which has the rules.
 */
export class ManyServices {
  readonly #node: TestNode;
  readonly #all: readonly OneOfMany[];

  constructor(node: TestNode, count: number) {
    this.#node = node;
    this.#all = Array.from({ length: count }, (_, index) => service(index));
  }

  objects(): readonly object[] {
    return this.#all.flatMap(({ name, ip, protocol, port, targetPort, nodePort }) => {
      const more = nodePort === 0 ? {} : { nodePort };
      const type = nodePort === 0 ? "ClusterIP" : "NodePort";
      const endpoints = this.#pods(ip).map((pod) => ({ ip: pod, node: this.#node.name, ready: true }));
      return [
        serviceObject(`many/${name}`, { type, ip: [ip], ports: [{ port, protocol, ...more }] }),
        sliceObject(`many/${name}-${isIPv6(ip) ? 6 : 4}`, { ports: [{ port: targetPort, protocol }], endpoints }),
      ];
    });
  }

  async layOut(): Promise<void> {
    const { shell } = this.#node;
    for (const [program, lines] of [
      [
        "ip -batch -",
        this.#all.map(({ ip }) => `address add ${isIPv6(ip) ? `${ip}/128 nodad` : `${ip}/32`} dev kube-ipvs0`),
      ],
      ["ipset restore", this.#all.flatMap((one) => this.#members(one))],
      ["ipvsadm -R", this.#all.flatMap((one) => this.#servers(one))],
    ] as const)
      await shell.run(`${program} <<'END'\n${lines.join("\n")}\nEND`);
  }

  /** Has the node open two connections, or send two datagrams, to each Service: one for each real server. */
  async use(): Promise<void> {
    const calls = this.#all.flatMap(({ ip, protocol, port }) => {
      const call = `echo who > /dev/${protocol.toLowerCase()}/${ip}/${port}`;
      return [call, call];
    });
    await this.#node.shell.run(`bash <<'END'\n${calls.join("\n")}\nEND`);
  }

  /** The connections that each real server of each ClusterIP has had since it was added, by "SERVER REAL". */
  async connections(): Promise<ReadonlyMap<string, number>> {
    const text = await this.#node.shell.run("ipvsadm -Ln --stats --exact");
    const wanted = new Set(this.#all.map(({ ip, protocol, port }) => `${protocol} ${addressPort(ip, port)}`));
    const found = new Map<string, number>();
    let server = "";
    for (const line of text.split("\n")) {
      const [first = "", second = "", count = ""] = line.trim().split(/\s+/);
      if (first === "->" && wanted.has(server)) found.set(`${server} ${second}`, Number(count));
      else if (first !== "->") server = `${first} ${second}`;
    }
    return found;
  }

  /** Some of them, all over the list. */
  targets(count: number): readonly LoadTarget[] {
    const step = Math.floor(this.#all.length / count) + 1;
    return this.#all
      .filter((_, index) => index % step === 0)
      .map(({ ip, protocol, port }) => `${protocol === "TCP" ? "tcp" : "udp"},${ip},${port}` as const);
  }

  #servers({ ip, protocol, port, targetPort, nodePort }: OneOfMany): readonly string[] {
    const { node } = this.#node;
    const flag = protocol === "TCP" ? "-t" : "-u";
    const nodeAddress = isIPv6(ip) ? node.ip6 : node.ip;
    const frontends = [addressPort(ip, port), ...(nodePort === 0 ? [] : [addressPort(nodeAddress, nodePort)])];
    return frontends.flatMap((frontend) => [
      `-A ${flag} ${frontend} -s rr`,
      ...this.#pods(ip).map((pod) => `-a ${flag} ${frontend} -r ${addressPort(pod, targetPort)} -m -w 1`),
    ]);
  }

  #members({ ip, protocol, port, nodePort }: OneOfMany): readonly string[] {
    const set = isIPv6(ip) ? "KUBE-6" : "KUBE";
    return [
      `add ${set}-IPVS-IPS ${ip}`,
      `add ${set}-CLUSTER-IP ${ip},${protocol.toLowerCase()}:${port}`,
      ...(nodePort === 0 ? [] : [`add ${set}-NODE-PORT-${protocol} ${nodePort}`]),
    ];
  }

  #pods(ip: string): readonly string[] {
    return ["a", "b"].map((pod) => (isIPv6(ip) ? this.#node.pod(pod).ip6 : this.#node.pod(pod).ip));
  }
}

function service(index: number): OneOfMany {
  const isUDP = index % 3 === 0;
  const [high, low] = [Math.floor(index / 200), (index % 200) + 1];
  return {
    name: `s${index}`,
    ip: index % 2 === 0 ? `10.101.${high}.${low}` : `fd00:101::${high + 1}:${low}`,
    protocol: isUDP ? "UDP" : "TCP",
    port: isUDP ? 53 : 80,
    targetPort: isUDP ? 7777 : 8080,
    nodePort: index % 15 === 0 ? 32_000 + index / 15 : 0,
  };
}

function isIPv6(ip: string): boolean {
  return ip.includes(":");
}

function addressPort(ip: string, port: number): string {
  return isIPv6(ip) ? `[${ip}]:${port}` : `${ip}:${port}`;
}
