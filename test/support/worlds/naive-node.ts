import type { DesiredServer, DesiredService } from "../../../src/desired/service/desired-service.ts";
import { parseAddress } from "../../../src/model/address.ts";
import type { ServiceName } from "../../../src/model/cluster/service.ts";
import {
  addressEntry,
  addressPortEntry,
  ipset,
  portEntry,
  type SetEntry,
  type SetEntryKey,
} from "../../../src/model/kernel/ipset.ts";
import { type Scheduler, type VirtualServer, virtualServer } from "../../../src/model/kernel/ipvs.ts";
import { RealServers } from "../../../src/model/kernel/real-servers.ts";

/** A small Service. The properties of the sync generate it; the expected and the actual node are computed from it. */
export interface SmallService {
  /** Index in ADDRESSES. */
  readonly ip: number;
  readonly ports: readonly SmallPort[];
  /** Indexes of pods. */
  readonly pods: readonly number[];
  readonly affinity: boolean;
}

export interface SmallPort {
  readonly protocol: "TCP" | "UDP";
  readonly port: number;
  /** 0 is none. */
  readonly nodePort: number;
}

export const ADDRESSES = ["10.96.0.1", "10.96.0.2", "fd00::1"];
const NODE = ["192.168.1.10", "192.168.1.10", "fd01::10"];
const pod = (ip: number, index: number): string => (ip === 2 ? `fd02::${index + 1}` : `10.244.0.${index + 1}`);

/** The virtual servers, addresses and members of a node, as sorted text. */
export interface NodeText {
  readonly servers: string;
  readonly addresses: readonly string[];
  readonly members: readonly string[];
}

/** What the node should hold, computed with strings alone. The first Service by name owns a key. */
export function naiveNode(services: ReadonlyMap<string, SmallService>, foreign: Record<string, string[]>): NodeText {
  const blocks: Record<string, string[]> = { ...foreign };
  const addresses: string[] = [];
  const members: string[] = [];
  for (const [, service] of [...services].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const six = service.ip === 2;
    const ip = ADDRESSES[service.ip] ?? "";
    const prefix = six ? "KUBE-6" : "KUBE";
    for (const { protocol, port, nodePort } of service.ports) {
      addresses.push(ip);
      members.push(`${prefix}-CLUSTER-IP ${ip},${protocol.toLowerCase()}:${port}`, `${prefix}-IPVS-IPS ${ip}`);
      if (nodePort > 0)
        members.push(`${prefix}-NODE-PORT-${protocol} ${nodePort}`, `${prefix}-NODE-PORT-IPS ${NODE[service.ip]}`);
      for (const [host, number] of nodePort > 0
        ? [[ip, port] as const, [NODE[service.ip], nodePort] as const]
        : [[ip, port] as const]) {
        const at = six ? `[${host}]:${number}` : `${host}:${number}`;
        const option = `${protocol === "TCP" ? "-t" : "-u"} ${at}`;
        blocks[`${protocol}/${at}`] ??= [
          `-A ${option} -s rr${service.affinity ? " -p 10800" : ""}`,
          ...service.pods
            .map((index) => (six ? `[${pod(2, index)}]:8080` : `${pod(0, index)}:8080`))
            .sort()
            .map((real) => `-a ${option} -r ${real} -m -w 1`),
        ];
      }
    }
  }
  const keys = Object.keys(blocks).sort();
  return {
    servers: keys.flatMap((key) => blocks[key] ?? []).join("\n"),
    addresses: [...new Set(addresses)].sort(),
    members: [...new Set(members)].sort(),
  };
}

/** The same Service as a DesiredService in the product's own words. */
export function smallServiceState(name: ServiceName, service: SmallService): DesiredService {
  const ip = parsed(ADDRESSES[service.ip]);
  const node = parsed(NODE[service.ip]);
  const family = service.ip === 2 ? "IPv6" : "IPv4";
  const reals = RealServers.of(service.pods.map((index) => ({ address: parsed(pod(service.ip, index)), port: 8080 })));
  const options = { scheduler: "rr" as Scheduler, persistenceSeconds: service.affinity ? 10_800 : 0 };
  const servers = new Map<VirtualServer["key"], DesiredServer>();
  const entries = new Map<SetEntryKey, SetEntry>();
  const add = (server: VirtualServer, entry: SetEntry): void => {
    servers.set(server.key, { server, reals, service: name, precedence: 0, entries: [entry], counterparts: [] });
  };
  for (const { protocol, port, nodePort } of service.ports) {
    const onCluster = addressPortEntry(ipset("KUBE-CLUSTER-IP", family), ip, protocol, port);
    add(virtualServer(protocol, ip, port, options), onCluster);
    const base = protocol === "TCP" ? "KUBE-NODE-PORT-TCP" : "KUBE-NODE-PORT-UDP";
    if (nodePort > 0) {
      add(virtualServer(protocol, node, nodePort, options), portEntry(ipset(base, family), nodePort));
      const answers = addressEntry(ipset("KUBE-NODE-PORT-IPS", family), node);
      entries.set(answers.key, answers);
    }
    const bound = addressEntry(ipset("KUBE-IPVS-IPS", family), ip);
    entries.set(bound.key, bound);
  }
  return {
    servers: [...servers.values()],
    entries: [...entries.values()],
    addresses: service.ports.length > 0 ? [ip] : [],
  };
}

function parsed(text: string | undefined) {
  const address = parseAddress(text ?? "");
  if (address === undefined) throw new Error(`"${text}" is not an address`);
  return address;
}
