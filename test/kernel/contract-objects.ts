import { expect } from "vitest";
import type { IpvsTimeout, NodeSetup, Outcome } from "../../src/kernel/kernel.ts";
import { cidr, FAMILIES, type IPFamily } from "../../src/model/address.ts";
import { PROTOCOLS, type Protocol } from "../../src/model/cluster/service.ts";
import type { Errno } from "../../src/model/kernel/errno.ts";
import {
  addressEntry,
  addressPortAddressEntry,
  addressPortEntry,
  addressPortNetworkEntry,
  ipset,
  markEntry,
  networkEntry,
  portEntry,
  type SetBase,
  type SetEntry,
} from "../../src/model/kernel/ipset.ts";
import {
  type IpvsTimeoutName,
  markedServer,
  type RealServer,
  type Scheduler,
  type SchedulerFlag,
  type VirtualServer,
  virtualServer,
} from "../../src/model/kernel/ipvs.ts";
import type { Operation } from "../../src/model/kernel/operation.ts";
import { address, realServer } from "../support/objects/desired.ts";

export const SETUP: NodeSetup = { families: FAMILIES, rules: {}, sysctls: [] };
export const OK: Outcome = { ok: true };

/** The addresses for the rows of a table. */
export const HOSTS: Readonly<Record<IPFamily, { readonly vip: string; readonly pods: readonly [string, string] }>> = {
  IPv4: { vip: "10.96.0.10", pods: ["10.244.0.5", "10.244.0.6"] },
  IPv6: { vip: "fd00::10", pods: ["fd00:244::5", "fd00:244::6"] },
};

export interface ServerOptions {
  readonly protocol?: Protocol;
  readonly port?: number;
  readonly scheduler?: string;
  readonly persistenceSeconds?: number;
  readonly flags?: readonly SchedulerFlag[];
}

export function server(vip: string, { protocol = "TCP", port = 80, scheduler = "rr", ...rest }: ServerOptions = {}) {
  return virtualServer(protocol, address(vip), port, { ...rest, scheduler: scheduler as Scheduler }); // the kernel checks the name
}

export function marked(family: IPFamily, mark: number, scheduler = "rr", protocol: Protocol = "TCP") {
  return markedServer(family, mark, protocol, { scheduler: scheduler as Scheduler }); // the kernel checks the name
}

export function real(pod: string, weight = 1): RealServer {
  return realServer(address(pod), 8080, weight);
}

export const onServer = (kind: "add" | "update" | "delete", server: VirtualServer): Operation => ({
  kind: `${kind}-virtual-server`,
  server,
});
export const onReal = (kind: "add" | "update" | "delete", server: VirtualServer, real: RealServer): Operation => ({
  kind: `${kind}-real-server`,
  server,
  real,
});
export const bind = (ip: string): Operation => ({ kind: "bind-address", binding: "address", address: address(ip) });
export const unbind = (ip: string): Operation => ({ kind: "unbind-address", binding: "address", address: address(ip) });
export const addEntry = (entry: SetEntry): Operation => ({ kind: "add-entry", entry });
export const deleteEntry = (entry: SetEntry): Operation => ({ kind: "delete-entry", entry });

export const timeout = (name: IpvsTimeoutName, seconds: number): IpvsTimeout => ({
  name,
  seconds,
  flag: `flag-of-${name}`,
});

/** Members of every type of set, in both families. */
export function membersOf(family: IPFamily): SetEntry[] {
  const { vip, pods } = HOSTS[family];
  const [pod] = pods;
  const frontend = (base: SetBase, protocol: Protocol = "TCP") =>
    addressPortEntry(ipset(base, family), address(vip), protocol, 80);
  const port = (base: SetBase, number: number) => portEntry(ipset(base, family), number);
  const itself = (base: SetBase, ip: string) =>
    addressPortAddressEntry(ipset(base, family), address(ip), "TCP", 8080, address(ip));
  const clients = (bits: number) =>
    addressPortNetworkEntry(
      ipset("KUBE-LOAD-BALANCER-SOURCE-CIDR", family),
      address(vip),
      "TCP",
      8080,
      cidr(address(vip), bits),
    );
  const [half, host] = family === "IPv4" ? [1, 32] : [64, 128];
  return [
    addressEntry(ipset("KUBE-IPVS-IPS", family), address(vip)),
    addressEntry(ipset("KUBE-NODE-PORT-IPS", family), address(vip)),
    ...PROTOCOLS.map((protocol) => frontend("KUBE-CLUSTER-IP", protocol)),
    frontend("KUBE-EXTERNAL-IP"),
    frontend("KUBE-EXTERNAL-IP-LOCAL", "UDP"),
    frontend("KUBE-LOAD-BALANCER", "SCTP"),
    frontend("KUBE-LOAD-BALANCER-LOCAL"),
    frontend("KUBE-LOAD-BALANCER-FW"),
    frontend("KUBE-DROP"),
    frontend("KUBE-DROP-EXTERNAL", "UDP"),
    frontend("KUBE-NODE-PORT-SCTP-HASH", "SCTP"),
    frontend("KUBE-NODE-PORT-LOCAL-SCTP-HASH", "SCTP"),
    itself("KUBE-LOOP-BACK", pod),
    itself("KUBE-LOAD-BALANCER-SOURCE-IP", vip),
    ...[half, host].map(clients),
    port("KUBE-NODE-PORT-TCP", 30_080),
    port("KUBE-NODE-PORT-LOCAL-TCP", 30_081),
    port("KUBE-NODE-PORT-UDP", 65_535),
    port("KUBE-NODE-PORT-LOCAL-UDP", 1),
    port("KUBE-HEALTH-CHECK-NODE-PORT", 31_000),
    port("KUBE-LOCAL-MARK-SERVERS", 0x1fff),
    ...[half, host].map((bits) => networkEntry(ipset("KUBE-SERVICE-CIDR", family), cidr(address(vip), bits))),
    ...PROTOCOLS.map((protocol) => markEntry(ipset("KUBE-LOCAL-MARK", family), address(vip), protocol, 80, 5, 0x1fff)),
  ];
}

/** The outcome of an operation that the kernel refuses. */
export const refusal = (errno: Errno) => expect.objectContaining({ ok: false, errno });
