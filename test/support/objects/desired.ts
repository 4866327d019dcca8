import { buildDesiredService, type DesiredService, type MarkOf } from "../../../src/desired/service/desired-service.ts";
import { type Cidr, type IPAddress, type IPFamily, parseAddress, parseCidr } from "../../../src/model/address.ts";
import type { SetEntry } from "../../../src/model/kernel/ipset.ts";
import { type RealServer, realServerKey, type Scheduler } from "../../../src/model/kernel/ipvs.ts";
import type { NodeFacts } from "../../../src/node/node-facts.ts";
import { type ApiServer, reservedAddresses } from "../../../src/node/reserved-addresses.ts";
import { mergeSlices } from "../../../src/services/endpoints.ts";
import { type ServiceSpec, type SliceSpec, service, slice } from "./builders.ts";

/** The parsed address; throws on what is none. */
export function address(text: string): IPAddress {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(`"${text}" is not an address`);
  return parsed;
}

/** A real server as the agent makes them. */
export function realServer(address: IPAddress, port: number, weight = 1): RealServer {
  return { key: realServerKey(address, port), address, port, weight, forwarding: "masquerade" };
}

/** The parsed network; throws on what is none. */
export function network(text: string): Cidr {
  const parsed = parseCidr(text);
  if (parsed === undefined) throw new Error(`"${text}" is not a network`);
  return parsed;
}

/** An API server at port 6443 of the address. */
export function apiServer(ip: string): ApiServer {
  return { address: address(ip), port: 6443 };
}

export interface FactsSpec {
  readonly node?: string;
  readonly zone?: string;
  readonly families?: readonly IPFamily[];
  readonly nodePorts?: readonly string[];
  /** Addresses of the node's interfaces that Services may have, beside those for NodePorts. */
  readonly own?: readonly string[];
  /** Each at port 6443. */
  readonly apiServers?: readonly string[];
  readonly podNetworks?: readonly string[];
  readonly scheduler?: string;
  readonly missingSchedulers?: readonly string[];
}

/** Node n1 in zone a with both families, at 192.168.1.10 where NodePorts answer, scheduler rr. */
export function facts(said: FactsSpec = {}): NodeFacts {
  const addresses = (said.nodePorts ?? ["192.168.1.10"]).map(address);
  const apiServers = (said.apiServers ?? []).map(apiServer);
  return {
    nodeName: said.node ?? "n1",
    zone: said.zone ?? "a",
    families: said.families ?? ["IPv4", "IPv6"],
    nodePortAddresses: addresses,
    healthCheckAddresses: addresses,
    reserved: reservedAddresses({ nodes: [], addresses, apiServers }, said.node ?? "n1", []),
    ownAddresses: [...addresses, ...(said.own ?? []).map(address)],
    apiServers,
    podNetworks: (said.podNetworks ?? []).map(network),
    localMarkMask: 0x107f,
    missingSchedulers: (said.missingSchedulers ?? []) as readonly string[] as readonly Scheduler[], // as below
    scheduler: (said.scheduler ?? "rr") as Scheduler, // any word is one: the kernel alone knows them
  };
}

/** The keys of all members that are wanted, in the order of the virtual servers, then the others; each once. */
export function membersOf({ servers, entries }: DesiredService): readonly SetEntry[] {
  const all = [...servers.flatMap((state) => state.entries), ...entries];
  return [...new Map(all.map((entry) => [entry.key, entry])).values()];
}

/** What the built Service with the built slices wants; slices are named as in `sliceObject`. */
export function built(
  name: string,
  said: ServiceSpec = {},
  slices: Readonly<Record<string, SliceSpec>> = {},
  node: FactsSpec = {},
  markOf: MarkOf = () => undefined,
): DesiredService {
  const merged = mergeSlices(Object.entries(slices).map(([sliceName, spec]) => slice(sliceName, spec)));
  return buildDesiredService(service(name, said), merged, facts(node), markOf);
}
