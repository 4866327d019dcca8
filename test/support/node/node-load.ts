import { Load, type LoadOptions, type LoadSummary, type LoadTarget } from "../traffic/load.ts";
import type { Host, TestNode } from "./netns.ts";

/** The pods that the recorded frontends have, and a client. */
export const TAKEN_OVER_PODS: readonly string[] = [
  ...["a", "b", "c", "agent-local", "games-local", "games-far", "signal"],
  "client",
];

/** The ports of these pods. Those of SCTP need its module. */
export const TAKEN_OVER_PORTS: readonly string[] = ["tcp:8080", "tcp:9443", "udp:7777"];
export const SCTP_PORTS: readonly string[] = ["sctp:3868"];

/** The flag of an agent whose NodePorts are at the addresses at which the recorded kube-proxy has them. */
export const NODE_PORTS_AT: readonly string[] = ["--nodeport-addresses", "192.168.1.0/24,fd00:192:1::/64"];

const VIPS = {
  front: ["10.100.7.1", "fd00:100::7:1"],
  edge: ["10.100.7.3", "fd00:100::7:3"],
  loadBalancer: ["198.51.100.31", "2001:db8:31::1"],
  sessions: "10.100.7.2",
  partners: "10.100.7.4",
  restricted: "198.51.100.32",
  games: "10.100.7.5",
  gamesLoadBalancer: "198.51.100.33",
  agent: "10.100.7.7",
  legacy: "10.100.7.8",
  external: "198.51.100.200",
  sessions6: "fd00:100::7:2",
  games6: "fd00:100::7:5",
  signal: ["10.100.7.11", "fd00:100::7:b"],
} as const;

/** What is loaded besides the recorded frontends that every mode of kube-proxy serves. */
export interface MoreFrontends {
  /** What `ipvs-added` has, but SCTP. */
  readonly added?: boolean;
  readonly sctp?: boolean;
}

/** The frontends of the recorded objects that clients of each kind are served at, before and after the takeover. */
function frontendsOf(
  { node }: TestNode,
  { added = false, sctp = false }: MoreFrontends,
): Readonly<Record<"outside" | "pod" | "node", readonly LoadTarget[]>> {
  const nodePorts = (port: number): LoadTarget[] => [`tcp,${node.ip},${port}`, `tcp,${node.ip6},${port}`];
  const at = (addresses: readonly string[], port: number): LoadTarget[] =>
    addresses.map((address) => `tcp,${address},${port}` as const);
  return {
    outside: [
      ...nodePorts(31_080),
      ...nodePorts(31_082),
      `tcp,${node.ip},31081`,
      `udp,${node.ip},31085`,
      ...at(VIPS.loadBalancer, 80),
      ...at([VIPS.restricted, VIPS.external], 80),
      `udp,${VIPS.gamesLoadBalancer},7777`,
      ...(added ? ([`tcp,${node.ip6},31091`, `udp,${node.ip6},31093`] as const) : []),
      ...(sctp ? ([`sctp,${node.ip},31088`, `sctp,${node.ip6},31092`] as const) : []),
    ],
    pod: [
      ...at(VIPS.front, 80),
      ...at(VIPS.edge, 8443),
      ...at([VIPS.sessions, VIPS.partners, VIPS.agent, VIPS.legacy, VIPS.external], 80),
      ...at(VIPS.loadBalancer, 80),
      `udp,${VIPS.games},7777`,
      ...(added ? ([`tcp,${VIPS.sessions6},80`, `udp,${VIPS.games6},7777`] as const) : []),
      ...(sctp ? VIPS.signal.map((address) => `sctp,${address},3868` as const) : []),
    ],
    // No SCTP: an association of the node offers all of its addresses, and pods answer to them past the Service.
    node: [...at(VIPS.front, 80), ...at([VIPS.legacy], 80)],
  };
}

/** The new connections a second of the clients of each kind, 100 together, and how many are kept to each frontend, 200 together. */
const OPTIONS: Readonly<Record<"outside" | "pod" | "node", LoadOptions>> = {
  outside: { rate: 60, held: 10 },
  pod: { rate: 30, held: 7 },
  node: { rate: 10, held: 2 },
};

/** Clients outside, in a pod and on the node, at all kinds of frontends in both families. */
export class NodeLoad {
  readonly #loads: readonly Load[];

  private constructor(loads: readonly Load[]) {
    this.#loads = loads;
  }

  /** Resolves when every frontend has answered each of its clients. */
  static async begin(node: TestNode, more: MoreFrontends = {}): Promise<NodeLoad> {
    const hosts: Readonly<Record<"outside" | "pod" | "node", Host>> = {
      outside: node.outside,
      pod: node.pod("client"),
      node: node.node,
    };
    const frontends = frontendsOf(node, more);
    const kinds = ["outside", "pod", "node"] as const;
    return new NodeLoad(
      await Promise.all(kinds.map((kind) => Load.begin(hosts[kind].namespace, frontends[kind], OPTIONS[kind]))),
    );
  }

  /** Ends it; what clients outside, in the pod and on the node have seen. */
  stop(): Promise<readonly LoadSummary[]> {
    return Promise.all(this.#loads.map((load) => load.stop()));
  }
}
