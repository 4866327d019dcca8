import { type Cidr, cidr, type IPAddress, parseAddress, parseCidr } from "../../../src/model/address.ts";
import { PROTOCOLS, type Protocol } from "../../../src/model/cluster/service.ts";
import {
  addressEntry,
  addressPortAddressEntry,
  addressPortEntry,
  addressPortNetworkEntry,
  givesMarks,
  type IPSet,
  ipsets,
  markEntry,
  networkEntry,
  portEntry,
  type SetEntry,
} from "../../../src/model/kernel/ipset.ts";
import {
  type Forwarding,
  markedServer,
  type RealServer,
  type Scheduler,
  type SchedulerFlag,
  type VirtualServer,
  virtualServer,
} from "../../../src/model/kernel/ipvs.ts";
import type { Operation } from "../../../src/model/kernel/operation.ts";
import { realServer } from "../objects/desired.ts";

/**
 * Reads lines as `ipvsadm` takes them (-A -E -D -a -e -d), `address add|del IP` and `entry add|del SET MEMBER`.
 * Throws on a line it does not understand.
 */
export function parseMeddling(text: string): readonly Operation[] {
  const lines = text.split("\n").map((line) => line.trim());
  return lines.filter((line) => line !== "" && !line.startsWith("#")).map(parseLine);
}

const SERVER_KINDS = {
  "-A": "add-virtual-server",
  "-E": "update-virtual-server",
  "-D": "delete-virtual-server",
} as const;

const REAL_KINDS = { "-a": "add-real-server", "-e": "update-real-server", "-d": "delete-real-server" } as const;

function parseLine(line: string): Operation {
  const [command = "", ...words] = line.split(/\s+/);
  const [verb = "", first = "", ...rest] = words;
  switch (command) {
    case "-A":
    case "-E":
    case "-D":
      return { kind: SERVER_KINDS[command], server: parseServer(words) };
    case "-a":
    case "-e":
    case "-d":
      return { kind: REAL_KINDS[command], server: parseServer(words), real: parseReal(words) };
    case "address":
      return { kind: verb === "add" ? "bind-address" : "unbind-address", binding: "address", address: parseIP(first) };
    case "route":
      return { kind: verb === "add" ? "bind-address" : "unbind-address", binding: "route", address: parseIP(first) };
    case "entry":
      return { kind: verb === "add" ? "add-entry" : "delete-entry", entry: parseEntry(first, rest.join(" ")) };
    default:
      throw new Error(`Cannot read "${line}": unknown command`);
  }
}

function parseServer(words: readonly string[]): VirtualServer {
  const option = (name: string) => words[words.indexOf(name) + 1] ?? "";
  const protocols: Readonly<Record<string, Protocol>> = { "-t": "TCP", "-u": "UDP", "--sctp-service": "SCTP" };
  const [name = "", protocol = "TCP"] = Object.entries(protocols).find(([key]) => words.includes(key)) ?? [];
  const options = {
    scheduler: (words.includes("-s") ? option("-s") : "rr") as Scheduler, // any word is one: the kernel alone knows them
    flags: words.includes("-b") ? (option("-b").split(",") as SchedulerFlag[]) : [], // as written in the scenario
  };
  if (words.includes("-f")) {
    return markedServer(words.includes("-6") ? "IPv6" : "IPv4", Number(option("-f")), "TCP", options);
  }
  const { address, port } = parseAddressPort(option(name));
  const persistenceSeconds = words.includes("-p") ? Number(option("-p")) : 0;
  return virtualServer(protocol, address, port, { ...options, persistenceSeconds });
}

function parseReal(words: readonly string[]): RealServer {
  const option = (name: string) => words[words.indexOf(name) + 1] ?? "";
  const { address, port } = parseAddressPort(option("-r"));
  const methods: Readonly<Record<string, Forwarding>> = { "-m": "masquerade", "-g": "direct", "-i": "tunnel" };
  const [, forwarding = "masquerade"] = Object.entries(methods).find(([key]) => words.includes(key)) ?? [];
  return { ...realServer(address, port, words.includes("-w") ? Number(option("-w")) : 1), forwarding };
}

function parseEntry(name: string, member: string): SetEntry {
  const set = [...ipsets("IPv4"), ...ipsets("IPv6")].find((candidate) => candidate.name === name);
  if (set === undefined) throw new Error(`There is no set "${name}"`);
  return entryOf(set, member);
}

function entryOf(set: IPSet, text: string): SetEntry {
  const [member = "", , marking = ""] = text.split(" ");
  const [first = "", protocolPort = "", second = ""] = member.split(",");
  const [word = "", port = ""] = protocolPort.split(":");
  const protocol = PROTOCOLS.find((candidate) => candidate.toLowerCase() === word) ?? "TCP";
  switch (set.type) {
    case "hash:ip":
      return addressEntry(set, parseIP(first));
    case "bitmap:port":
      return portEntry(set, Number(first));
    case "hash:net":
      return networkEntry(set, parseNetwork(first));
    case "hash:ip,port": {
      const [mark = 0, mask = 0] = marking.split("/").map(Number);
      if (givesMarks(set)) return markEntry(set, parseIP(first), protocol, Number(port), mark, mask);
      return addressPortEntry(set, parseIP(first), protocol, Number(port));
    }
    case "hash:ip,port,ip":
      return addressPortAddressEntry(set, parseIP(first), protocol, Number(port), parseIP(second));
    case "hash:ip,port,net":
      return addressPortNetworkEntry(set, parseIP(first), protocol, Number(port), parseNetwork(second));
  }
}

function parseNetwork(text: string): Cidr {
  return parseCidr(text) ?? cidr(parseIP(text), text.includes(":") ? 128 : 32);
}

function parseAddressPort(text: string): { readonly address: IPAddress; readonly port: number } {
  const match = /^\[?(.+?)\]?:(\d+)$/.exec(text);
  return { address: parseIP(match?.[1] ?? ""), port: Number(match?.[2]) };
}

function parseIP(text: string): IPAddress {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`"${text}" is not an address`);
  return address;
}
