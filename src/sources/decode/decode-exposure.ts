import { type Cidr, familyOf, type IPAddress, parseAddress, parseCidr, specialPurpose } from "../../model/address.ts";
import type { Service, TrafficPolicy } from "../../model/cluster/service.ts";
import type { Annotation } from "./decode-overrides.ts";
import {
  annotationOf,
  annotationPath,
  field,
  isJsonObject,
  type JsonObject,
  type ObjectReader,
} from "./object-reader.ts";

export const SERVICE_TYPES = ["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"] as const;
export type ServiceType = (typeof SERVICE_TYPES)[number];

/** The annotation for source ranges that preceded the field. The field takes precedence. */
export const SOURCE_RANGES_ANNOTATION: Annotation = {
  name: "service.beta.kubernetes.io/load-balancer-source-ranges",
  value: "comma list of networks",
  effect: "Source ranges of a load balancer, if the field `loadBalancerSourceRanges` is empty",
};

/**
 * The maximum number of addresses or networks of one kind in a Service. Parsing one takes about 4 us, and an API object
 * has room for 120,000.
 */
const MOST_ADDRESSES = 10_000;

/** The fields of a Service that were read before its external addresses. */
export interface Exposable {
  readonly object: JsonObject;
  readonly spec: JsonObject;
  readonly type: ServiceType;
  readonly clusterIPs: readonly IPAddress[];
  readonly externalTrafficPolicy: TrafficPolicy;
}

export type Exposure = Pick<Service, "externalIPs" | "loadBalancerIPs" | "sourceRanges" | "healthCheckNodePort">;

/**
 * Reads the external addresses of a Service, except node ports. Invalid addresses are rejected and left out. Fields of
 * load balancers are used only for type LoadBalancer: the API server clears them when the type changes.
 */
export function readExposure(reader: ObjectReader, service: Exposable): Exposure {
  const isBalanced = service.type === "LoadBalancer";
  return {
    externalIPs: readExternalIPs(reader, service),
    loadBalancerIPs: isBalanced ? readLoadBalancerIPs(reader, service) : [],
    sourceRanges: isBalanced ? readSourceRanges(reader, service) : undefined,
    healthCheckNodePort: readHealthCheckNodePort(reader, service),
  };
}

function readExternalIPs(reader: ObjectReader, service: Exposable): readonly IPAddress[] {
  const found = reader
    .listUpTo(MOST_ADDRESSES, service.spec, "externalIPs", "spec")
    .flatMap((text, index) => readAddress(reader, text, `spec.externalIPs[${index}]`, service));
  return withoutTwins(found);
}

/** Removes duplicates. Most Services have no addresses, and a Set for each of them would take 200 bytes. */
function withoutTwins(found: readonly IPAddress[]): readonly IPAddress[] {
  return found.length < 2 ? found : [...new Set(found)];
}

/**
 * Reads the addresses of a load balancer. Host names are left out because clients resolve them, and addresses with
 * ipMode Proxy because no packets for them arrive.
 */
function readLoadBalancerIPs(reader: ObjectReader, service: Exposable): readonly IPAddress[] {
  const status = reader.object(service.object, "status", "") ?? {};
  const loadBalancer = reader.object(status, "loadBalancer", "status") ?? {};
  const found = reader
    .listUpTo(MOST_ADDRESSES, loadBalancer, "ingress", "status.loadBalancer")
    .flatMap((ingress, index) => {
      const path = `status.loadBalancer.ingress[${index}]`;
      if (!isJsonObject(ingress)) {
        reader.reject(path, ingress, "must be an object");
        return [];
      }
      return isVip(reader, ingress, path) ? readAddress(reader, field(ingress, "ip"), `${path}.ip`, service) : [];
    });
  return withoutTwins(found);
}

/** Whether the address is a VIP. An unknown mode is rejected, and its address is not used. */
function isVip(reader: ObjectReader, ingress: JsonObject, path: string): boolean {
  const mode = field(ingress, "ipMode") ?? "VIP";
  if (mode !== "VIP" && mode !== "Proxy") reader.reject(`${path}.ipMode`, mode, "must be one of VIP, Proxy");
  return mode === "VIP";
}

/** Returns a list with the address; empty for a blank or invalid one. */
function readAddress(reader: ObjectReader, text: unknown, path: string, service: Exposable): readonly IPAddress[] {
  if (text === undefined || text === null || (typeof text === "string" && text.trim() === "")) return [];
  const address = typeof text === "string" ? parseAddress(text) : undefined;
  const fault = address === undefined ? "must be an IP address" : addressFault(address, service.clusterIPs);
  if (address !== undefined && fault === undefined) return [address];
  reader.reject(path, text, fault ?? "must be an IP address");
  return [];
}

function addressFault(address: IPAddress, clusterIPs: readonly IPAddress[]): string | undefined {
  if (clusterIPs.includes(address)) return "is the Service's own cluster IP";
  const family = familyOf(address);
  if (!clusterIPs.some((clusterIP) => familyOf(clusterIP) === family)) {
    return `is ${family}, but the Service has no ${family} cluster IP`;
  }
  return specialPurpose(address);
}

/**
 * Reads the source ranges; undefined: no restriction. Invalid ranges are rejected and left out. If all are invalid, no
 * client is admitted, because a restriction was intended.
 */
function readSourceRanges(reader: ObjectReader, { object, spec }: Exposable): readonly Cidr[] | undefined {
  const key = "loadBalancerSourceRanges";
  const asked = field(spec, key);
  if (asked !== undefined && !(Array.isArray(asked) && asked.length === 0)) {
    return readRanges(reader, reader.listUpTo(MOST_ADDRESSES, spec, key, "spec"), (index) => `spec.${key}[${index}]`);
  }
  const annotation = annotationOf(object, SOURCE_RANGES_ANNOTATION.name)?.trim() ?? "";
  if (annotation === "") return undefined;
  return readRanges(reader, annotation.split(","), () => annotationPath(SOURCE_RANGES_ANNOTATION.name));
}

function readRanges(
  reader: ObjectReader,
  texts: readonly unknown[],
  pathOf: (index: number) => string,
): readonly Cidr[] {
  const ranges = new Map<string, Cidr>();
  texts.forEach((text, index) => {
    const range = typeof text === "string" ? parseCidr(text) : undefined;
    if (range === undefined) reader.reject(pathOf(index), text, 'must be a network, for example "192.0.2.0/24"');
    else ranges.set(range.text, range);
  });
  return [...ranges.values()];
}

function readHealthCheckNodePort(reader: ObjectReader, { spec, type, externalTrafficPolicy }: Exposable): number {
  const port = reader.integer(spec, "healthCheckNodePort", "spec", 0, 65_535) ?? 0;
  if (port === 0 || (type === "LoadBalancer" && externalTrafficPolicy === "Local")) return port;
  reader.reject("spec.healthCheckNodePort", port, "needs spec.type LoadBalancer and spec.externalTrafficPolicy Local");
  return 0;
}
