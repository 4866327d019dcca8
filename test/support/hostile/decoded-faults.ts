import { BlockList, isIP } from "node:net";
import { type Problem, problemFields, problemObjectText } from "../../../src/model/cluster/problem.ts";
import type { ClusterNode, EndpointSlice, Service, ServiceCIDR } from "../../../src/model/cluster/service.ts";

/*
 * What is wrong with decoded values and with what was rejected of them, in words. Addresses are judged by Node.js and by the URL
 * standard, which writes IPv6 as RFC 5952 does.
 */

/** Where no Service may be and no endpoint. */
const SPECIAL = new BlockList();
for (const [net, prefix] of [
  ["0.0.0.0", 32],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["224.0.0.0", 4],
  ["255.255.255.255", 32],
] as const)
  SPECIAL.addSubnet(net, prefix, "ipv4");
for (const [net, prefix] of [
  ["::", 127],
  ["fe80::", 10],
  ["ff00::", 8],
] as const)
  SPECIAL.addSubnet(net, prefix, "ipv6");

const DNS = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/;
const PORT_KEY = /^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?\/(TCP|UDP|SCTP)$/;
const SCHEDULERS = new Set("rr wrr lc wlc lblc lblcr sh dh sed nq fo ovf mh".split(" "));

type Named = readonly (readonly [what: string, isRight: boolean])[];

function wrong(claims: Named): readonly string[] {
  return claims.flatMap(([what, isRight]) => (isRight ? [] : [what]));
}

export function serviceFaults(service: Service): readonly string[] {
  const { clusterIPs, externalIPs, loadBalancerIPs, sourceRanges, ports, overrides } = service;
  const families = new Set(clusterIPs.map(isIP));
  const outside = [externalIPs, loadBalancerIPs];
  const nodePorts = ports.filter(({ nodePort }) => nodePort > 0);
  return wrong([
    ["name", isName(service.name)],
    ["clusterIPs", clusterIPs.length > 0 && families.size === clusterIPs.length && clusterIPs.every(isUsable)],
    ["addresses twice", outside.every(areDistinct)],
    ["addresses", outside.flat().every((ip) => isUsable(ip) && families.has(isIP(ip)) && !clusterIPs.includes(ip))],
    [
      "ports",
      ports.every(({ key, protocol, port }) => PORT_KEY.test(key) && key.endsWith(`/${protocol}`) && isPort(port)),
    ],
    ["ports of one name", areDistinct(ports.map(({ key }) => key))],
    ["ports of one number", areDistinct(ports.map(({ protocol, port }) => `${protocol} ${port}`))],
    ["node ports", ports.every(({ nodePort }) => nodePort === 0 || isPort(nodePort))],
    ["node ports twice", areDistinct(nodePorts.map(({ protocol, nodePort }) => `${protocol} ${nodePort}`))],
    ["affinitySeconds", isWhole(service.affinitySeconds, 0, 86_400)],
    ["internalTrafficPolicy", ["Cluster", "Local"].includes(service.internalTrafficPolicy)],
    ["externalTrafficPolicy", ["Cluster", "Local"].includes(service.externalTrafficPolicy)],
    ["healthCheckNodePort", service.healthCheckNodePort === 0 || isPort(service.healthCheckNodePort)],
    ["clusterDNS", typeof service.clusterDNS === "boolean"],
    ["sourceRanges", sourceRanges === undefined || sourceRanges.every(isNetwork)],
    ["sourceRanges twice", sourceRanges === undefined || areDistinct(sourceRanges.map(({ text }) => text))],
    ["scheduler", overrides.scheduling === undefined || SCHEDULERS.has(overrides.scheduling.scheduler)],
    [
      "flags",
      (overrides.scheduling?.flags ?? []).every((flag) => flag.startsWith(`${overrides.scheduling?.scheduler}-`)),
    ],
    ["onePacket", typeof overrides.onePacket === "boolean"],
    ["drainTimeoutMs", overrides.drainTimeoutMs === undefined || isWithin(overrides.drainTimeoutMs, 0, 2 ** 31 - 1)],
  ]);
}

export function sliceFaults(slice: EndpointSlice): readonly string[] {
  const endpoints = [...slice.endpoints].flatMap(([, list]) => list);
  const family = slice.family === "IPv4" ? 4 : 6;
  const [namespace] = slice.name.split("/");
  return wrong([
    ["name", isName(slice.name)],
    ["service", slice.service.startsWith(`${namespace}/`)],
    ["family", slice.family === "IPv4" || slice.family === "IPv6"],
    ["changedAtUnixMs", Number.isFinite(slice.changedAtUnixMs)],
    ["ports", [...slice.endpoints.ports()].every(([key, port]) => PORT_KEY.test(key) && isPort(port))],
    ["addresses", endpoints.every(({ address }) => isUsable(address) && isIP(address) === family)],
    ["weights", endpoints.every(({ weight }) => isWhole(weight, 0, 65_535))],
    ["node names", endpoints.every(({ nodeName }) => typeof nodeName === "string")],
    ["hints", endpoints.every(({ zoneHints, nodeHints }) => [...zoneHints, ...nodeHints].every(isText))],
  ]);
}

export function nodeFaults(node: ClusterNode): readonly string[] {
  return wrong([
    ["name", DNS.test(node.name)],
    ["zone", typeof node.zone === "string"],
    ["addresses", node.addresses.every(isCanonical)],
    ["podCIDRs", node.podCIDRs.every(isNetwork)],
    ["leaving", typeof node.leaving === "boolean"],
  ]);
}

export function serviceCIDRFaults({ name, networks }: ServiceCIDR): readonly string[] {
  return wrong([
    ["name", DNS.test(name)],
    ["networks", networks.every(isNetwork)],
  ]);
}

const FIELD = /^(metadata|spec|status|addressType|ports|endpoints)(?![a-zA-Z])/;
/** What a terminal or an editor acts on instead of showing it. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;

/** Of one object of the kind: ten at most and one that counts the rest, each of which names the object and the field. */
export function problemFaults(kind: string, problems: readonly Problem[]): readonly string[] {
  const [, more] = /^(\d+) more problems$/.exec(problems[10]?.value ?? "") ?? [];
  const texts = problems.flatMap((problem) => Object.values(problemFields(problem)));
  const subject = new RegExp(`^${kind} (without a valid name|[-a-z0-9.]+(/[-a-z0-9.]+)?)$`);
  return wrong([
    ["how many are told", problems.length <= 10 || (problems.length === 11 && Number(more) > 0)],
    ["objects", problems.every(({ object }) => subject.test(problemObjectText(object)))],
    ["fields", problems.slice(0, 10).every(({ field }) => FIELD.test(field))],
    ["reasons", problems.every(({ reason }) => isText(reason))],
    ["texts that cannot be shown", !texts.some((text) => UNPRINTABLE.test(text))],
    ["long texts", texts.every((text) => text.length < 1_300)],
  ]);
}

function isName(name: string): boolean {
  const parts = name.split("/");
  return parts.length === 2 && parts.every((part) => DNS.test(part));
}

function isText(text: unknown): boolean {
  return typeof text === "string" && text !== "";
}

function isWithin(value: number, min: number, max: number): boolean {
  return value >= min && value <= max;
}

function isWhole(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && isWithin(value, min, max);
}

function isPort(port: number): boolean {
  return isWhole(port, 1, 65_535);
}

function areDistinct(texts: readonly string[]): boolean {
  return new Set(texts).size === texts.length;
}

function isUsable(address: string): boolean {
  return isCanonical(address) && !SPECIAL.check(address, isIP(address) === 4 ? "ipv4" : "ipv6");
}

/** IPv4 is written as such, also where it came as IPv6. */
function isCanonical(address: string): boolean {
  if (isIP(address) === 4) return true;
  if (isIP(address) !== 6 || address.includes("%") || /^::ffff:[0-9a-f]+:[0-9a-f]+$/.test(address)) return false;
  return new URL(`http://[${address}]/`).hostname === `[${address}]`;
}

function isNetwork(network: {
  readonly family: string;
  readonly address: string;
  readonly prefix: number;
  readonly text: string;
}) {
  const { family, address, prefix, text } = network;
  const bits = isCanonical(address) ? bitsOf(address) : "";
  return (
    family === (bits.length === 32 ? "IPv4" : "IPv6") &&
    isWhole(prefix, 0, bits.length) &&
    text === `${address}/${prefix}` &&
    !bits.slice(prefix).includes("1")
  );
}

/** 32 or 128 zeros and ones. */
function bitsOf(address: string): string {
  const [radix, width, groups] = isIP(address) === 4 ? [10, 8, address.split(".")] : [16, 16, groupsOf(address)];
  return groups.map((group) => Number.parseInt(group, radix).toString(2).padStart(width, "0")).join("");
}

function groupsOf(address: string): readonly string[] {
  const [head = [], tail = []] = address.split("::").map((half) => half.split(":").filter(isText));
  return [...head, ...Array.from({ length: 8 - head.length - tail.length }, () => "0"), ...tail];
}
