import { addressPort, familyOf, hostPrefix } from "../../../src/model/address.ts";
import type { Protocol } from "../../../src/model/cluster/service.ts";
import type { Forwarding, RealServer, VirtualServer } from "../../../src/model/kernel/ipvs.ts";

const SERVICE_OPTION: Readonly<Record<Protocol, string>> = { TCP: "-t", UDP: "-u", SCTP: "--sctp-service" };
const FORWARDING_OPTION: Readonly<Record<Forwarding, string>> = {
  masquerade: "-m",
  local: "",
  tunnel: "-i",
  direct: "-g",
  bypass: "",
};

/**
 * Returns the commands that create the virtual server and its real servers, as `ipvsadm -Sn` prints them; real servers
 * in the order given.
 */
export function ipvsadmLines(server: VirtualServer, reals: readonly RealServer[]): string[] {
  const service = serviceOption(server);
  return [
    `-A ${service} -s ${server.scheduler}${persistence(server)}${flags(server)}`,
    ...reals.map((real) => `-a ${service} -r ${real.key} ${FORWARDING_OPTION[real.forwarding]} -w ${real.weight}`),
  ];
}

function serviceOption({ protocol, address, port, mark }: VirtualServer): string {
  if (mark !== 0) return `-f ${mark}${familyOf(address) === "IPv6" ? " -6" : ""}`;
  return `${SERVICE_OPTION[protocol]} ${addressPort(address, port)}`;
}

function persistence({ address, persistenceSeconds, persistencePrefix }: VirtualServer): string {
  if (persistenceSeconds === 0) return "";
  const family = familyOf(address);
  if (persistencePrefix === hostPrefix(family)) return ` -p ${persistenceSeconds}`;
  const mask = family === "IPv6" ? String(persistencePrefix) : ipv4Mask(persistencePrefix);
  return ` -p ${persistenceSeconds} -M ${mask}`;
}

function ipv4Mask(prefix: number): string {
  return [0, 8, 16, 24].map((bits) => 256 - 2 ** (8 - Math.min(8, Math.max(0, prefix - bits)))).join(".");
}

function flags({ flags: names }: VirtualServer): string {
  const scheduling = names.filter((name) => name !== "one-packet");
  return (names.includes("one-packet") ? " -o" : "") + (scheduling.length === 0 ? "" : ` -b ${scheduling.join(",")}`);
}
