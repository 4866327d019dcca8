import { join } from "node:path";
import { expect } from "vitest";
import { ended } from "../node/namespace.ts";
import type { Host, TestNode } from "../node/netns.ts";
import type { Program } from "../node/program.ts";
import { allAnswered } from "../traffic/answers.ts";
import { firstLine } from "../traffic/client.ts";
import type { Neighbour } from "./neighbour.ts";

const CACHE = join(import.meta.dirname, "dns-cache.pl");

interface Instance {
  readonly device: string;
  /** Addresses on the device, at which the cache listens. */
  readonly addresses: readonly string[];
  /** The ClusterIP of the cluster's DNS. */
  readonly upstream: string;
  readonly iptables: "iptables" | "ip6tables";
}

export interface NodeLocalDNSOptions {
  /** The ClusterIPs of the cluster's DNS for the cache alone, IPv4 then IPv6. */
  readonly upstream: readonly [string, string];
  /** The ClusterIPs of kube-dns, if the cache listens there too, as its manifest for the iptables mode has it. */
  readonly taken?: readonly [string, string];
}

/** The local addresses, of which the first is the default of its documentation. */
export const LOCAL_DNS = { ip: "169.254.20.10", ip6: "fd00:169::10" };

/**
 * NodeLocal DNSCache (k8s.io/dns, cmd/node-cache): a DNS cache of the host network at addresses of a dummy device that is
 * down, whose packets conntrack does not track. An instance serves one family, so there are two.
 */
export class NodeLocalDNS implements Neighbour {
  readonly #instances: readonly Instance[];
  #caches: readonly Program[] = [];

  constructor({ upstream, taken }: NodeLocalDNSOptions) {
    this.#instances = [
      {
        device: "nodelocaldns",
        addresses: [LOCAL_DNS.ip, ...(taken?.slice(0, 1) ?? [])],
        upstream: upstream[0],
        iptables: "iptables",
      },
      {
        device: "nodelocaldns6",
        addresses: [LOCAL_DNS.ip6, ...(taken?.slice(1) ?? [])],
        upstream: upstream[1],
        iptables: "ip6tables",
      },
    ];
  }

  async layOut(node: TestNode): Promise<void> {
    await node.prints(scriptOf(node, this.#instances.map(setUp)));
    const started = this.#instances.flatMap(({ addresses, upstream }) =>
      addresses.map((address) => node.node.namespace.start(["perl", CACHE, address, upstream])),
    );
    this.#caches = started;
    await Promise.all(started.map(firstLine));
  }

  /** Its pod is replaced: it takes everything down at its end, and sets it up at its start. */
  async reload(node: TestNode): Promise<void> {
    await this.remove(node);
    await this.layOut(node);
  }

  async remove(node: TestNode): Promise<void> {
    await this.#end();
    await node.prints(scriptOf(node, this.#instances.map(tearDown)));
  }

  /** Pods and processes of the node are answered by the cache, which gets its answer from the ClusterIP, untracked. */
  async expectEffect(node: TestNode): Promise<void> {
    const pod = node.pod("b");
    await Promise.all([
      ...expectAnswers(node, pod, LOCAL_DNS, pod),
      ...expectAnswers(node, node.node, LOCAL_DNS, LOCAL_DNS),
    ]);
    const tracked = await node.prints("conntrack -L -f ipv4 2>/dev/null; conntrack -L -f ipv6 2>/dev/null");
    expect(tracked.split("\n").filter((line) => line.includes(`dst=${LOCAL_DNS.ip} `))).toEqual([]);
    expect(tracked.split("\n").filter((line) => line.includes(`dst=${LOCAL_DNS.ip6} `))).toEqual([]);
  }

  async #end(): Promise<void> {
    await Promise.all(this.#caches.map((cache) => ended(cache, "SIGKILL")));
    this.#caches = [];
  }
}

/** Requests of both families and protocols to port 53 of these addresses, which the cache sees come from `as`. */
export function expectAnswers(
  node: TestNode,
  from: Host,
  to: { readonly ip: string; readonly ip6: string },
  as: { readonly ip: string; readonly ip6: string },
): readonly Promise<void>[] {
  return (["ip", "ip6"] as const).flatMap((family) =>
    (["udp", "tcp"] as const).map(async (protocol) => {
      const answers = await node.client(from).request(protocol, to[family], 53);
      expect(answers, `${protocol} to ${to[family]}`).toEqual(allAnswered({ "cached-a": 1 }, as[family]));
    }),
  );
}

/** A shell script whose iptables waits for the lock that the agent of the node takes. */
function scriptOf({ name }: TestNode, parts: readonly string[]): string {
  return [`export XTABLES_LOCKFILE=/run/xtables-${name}.lock`, ...parts].join("\n");
}

/** The lines of a shell script that do what an instance does at its start: rules go to the front of their chains. */
function setUp(instance: Instance): string {
  const { device, addresses } = instance;
  return [
    `ip link add ${device} type dummy`,
    ...addresses.map((address) => `ip address add ${address} dev ${device}`),
    restore(instance, "-I"),
  ].join("\n");
}

/** The lines of a shell script that do what an instance does at its end. */
function tearDown(instance: Instance): string {
  return [restore(instance, "-D"), `ip link delete ${instance.device}`].join("\n");
}

/** The lines of a shell script that insert or delete the rules of an instance. */
function restore({ addresses, iptables }: Instance, verb: "-I" | "-D"): string {
  const rules = addresses.flatMap(rulesFor);
  const tables = ["raw", "filter"].flatMap((name) => [
    `*${name}`,
    ...rules.filter(([table]) => table === name).map(([, rule]) => `${verb} ${rule}`),
    "COMMIT",
  ]);
  return `${iptables}-restore --wait --noflush <<'END'\n${tables.join("\n")}\nEND`;
}

/** The rules for one address: table, then chain and rule. */
function rulesFor(address: string): readonly (readonly [table: string, rule: string])[] {
  const [to, from] = [`-d ${address}`, `-s ${address}`];
  const untracked = '-m comment --comment "NodeLocal DNS Cache: skip conntrack" -j NOTRACK';
  const accepted = '-m comment --comment "NodeLocal DNS Cache: allow DNS traffic" -j ACCEPT';
  return [
    ...["tcp", "udp"].flatMap((protocol): (readonly [string, string])[] => [
      ["raw", `PREROUTING -p ${protocol} ${to} --dport 53 ${untracked}`],
      ["filter", `INPUT -p ${protocol} ${to} --dport 53 ${accepted}`],
      ["raw", `OUTPUT -p ${protocol} ${from} --sport 53 ${untracked}`],
      ["filter", `OUTPUT -p ${protocol} ${from} --sport 53 ${accepted}`],
      ["raw", `OUTPUT -p ${protocol} ${to} --dport 53 ${untracked}`],
    ]),
    ["raw", `OUTPUT -p tcp ${to} --dport 8080 ${untracked}`],
    ["raw", `OUTPUT -p tcp ${from} --sport 8080 ${untracked}`],
  ];
}
