import { METRIC, RTPROT_KUBE_IPVS } from "../../kernel/route/constants.ts";
import { addressPort, familyOf, hostPrefix, type IPAddress } from "../../model/address.ts";
import type { Protocol } from "../../model/cluster/service.ts";
import { givesMarks, type IPSet, type SetEntry } from "../../model/kernel/ipset.ts";
import type { Forwarding, RealServer, VirtualServer } from "../../model/kernel/ipvs.ts";
import type { ServerState } from "../../model/kernel/server-state.ts";
import type { VipBinding } from "../../model/vip-binding.ts";

const SERVICE_OPTIONS: Readonly<Record<Protocol, string>> = { TCP: "-t", UDP: "-u", SCTP: "--sctp-service" };

/** The options of ipvsadm. It has three options for the five forwarding methods of the kernel. */
const FORWARDING_OPTIONS: Readonly<Record<Forwarding, string>> = {
  masquerade: "-m",
  tunnel: "-i",
  direct: "-g",
  local: "-g",
  bypass: "-g",
};

/** A virtual server as a line of `ipvsadm -Sn` and `ipvsadm -R`. */
export function serverLine(server: VirtualServer): string {
  const { persistenceSeconds: seconds, persistencePrefix: prefix } = server;
  const partial = prefix !== hostPrefix(familyOf(server.address));
  const flags = server.flags.filter((flag) => flag !== "one-packet");
  return [
    `-A ${serviceOption(server)} -s ${server.scheduler}`,
    ...(seconds === 0 ? [] : [`-p ${seconds}`]),
    ...(seconds !== 0 && partial ? [`-M ${persistenceMask(server)}`] : []),
    ...(server.flags.includes("one-packet") ? ["-o"] : []),
    ...(flags.length === 0 ? [] : [`-b ${flags.join(",")}`]),
  ].join(" ");
}

/** A real server as a line of `ipvsadm -Sn` and `ipvsadm -R`. */
export function realLine(server: VirtualServer, real: RealServer): string {
  const forwarding = FORWARDING_OPTIONS[real.forwarding];
  return `-a ${serviceOption(server)} -r ${addressPort(real.address, real.port)} ${forwarding} -w ${real.weight}`;
}

function serviceOption({ protocol, address, port, mark }: VirtualServer): string {
  if (mark !== 0) return familyOf(address) === "IPv4" ? `-f ${mark}` : `-f ${mark} -6`;
  return `${SERVICE_OPTIONS[protocol]} ${addressPort(address, port)}`;
}

/** The persistence prefix as the argument of `-M`: a dotted mask for IPv4, a prefix length for IPv6. */
function persistenceMask({ address, persistencePrefix: prefix }: VirtualServer): string {
  if (familyOf(address) === "IPv6") return String(prefix);
  return [0, 8, 16, 24].map((start) => 256 - 2 ** (8 - Math.min(8, Math.max(0, prefix - start)))).join(".");
}

/** The line of a virtual server, then the sorted lines of its real servers. */
export function stateLines({ server, reals }: ServerState): readonly string[] {
  return [serverLine(server), ...Array.from(reals, (real) => realLine(server, real)).sort()];
}

/** The binding of a VIP as a line of `ip -batch`. */
export function bindingLine(address: IPAddress, binding: VipBinding): string {
  const host = `${address}/${hostPrefix(familyOf(address))}`;
  switch (binding) {
    case "address":
      return `address add ${host} dev kube-ipvs0`;
    case "route":
      return `route add local ${host} dev lo table local proto ${RTPROT_KUBE_IPVS} metric ${METRIC}`;
  }
}

/** A member of a set as a line of `ipset restore`. */
export function entryLine(entry: SetEntry): string {
  return `add ${entry.set.name} ${entry.text}`;
}

/** A set as a line of `ipset restore`. Its size is 65,536, doubled until `members` members have room. */
export function createLine(set: IPSet, members: number): string {
  if (set.type === "bitmap:port") return `create ${set.name} bitmap:port range 0-65535`;
  let maxelem = 65_536;
  while (maxelem < members) maxelem *= 2;
  const family = set.family === "IPv4" ? "inet" : "inet6";
  const skbinfo = givesMarks(set) ? " skbinfo" : "";
  return `create ${set.name} ${set.type} family ${family} hashsize 1024 maxelem ${maxelem}${skbinfo}`;
}
