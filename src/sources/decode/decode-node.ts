import { type Cidr, type IPAddress, parseAddress, parseCidr } from "../../model/address.ts";
import { problemObject } from "../../model/cluster/problem.ts";
import type { ClusterNode } from "../../model/cluster/service.ts";
import type { Decoded } from "../../services/cluster-event.ts";
import {
  field,
  identityOf,
  invalidObject,
  isJsonObject,
  type JsonObject,
  labelOf,
  ObjectReader,
} from "./object-reader.ts";

const ZONE_LABEL = "topology.kubernetes.io/zone";

/** The taint that the cluster autoscaler sets before it drains and removes a node. */
const DELETION_TAINT = "ToBeDeletedByClusterAutoscaler";

/** Decodes a v1 Node, which is never ignored. Invalid addresses and pod networks are rejected and left out. */
export function decodeNode(object: unknown): Decoded<string, ClusterNode> {
  const name = identityOf(object)?.name;
  if (name === undefined || !isJsonObject(object)) return invalidObject("Node", object);
  const reader = new ObjectReader(problemObject("Node", name));
  const spec = reader.object(object, "spec", "") ?? {};
  const status = reader.object(object, "status", "") ?? {};
  const value: ClusterNode = {
    name,
    zone: labelOf(object, ZONE_LABEL) ?? "",
    addresses: readAddresses(reader, status),
    podCIDRs: readPodCIDRs(reader, spec),
    leaving: isLeaving(reader, object, spec),
  };
  return { kind: "accepted", name, value, problems: reader.problems };
}

/**
 * Reads the addresses: InternalIPs before ExternalIPs, each in their order in the Node. Host names and DNS names are
 * left out.
 */
function readAddresses(reader: ObjectReader, status: JsonObject): readonly IPAddress[] {
  const internal: IPAddress[] = [];
  const external: IPAddress[] = [];
  reader.list(status, "addresses", "status").forEach((entry, index) => {
    const type = field(entry, "type");
    if (!isJsonObject(entry) || (type !== "InternalIP" && type !== "ExternalIP")) return;
    const path = `status.addresses[${index}]`;
    const text = reader.text(entry, "address", path);
    if (text === undefined) return;
    const address = parseAddress(text);
    if (address === undefined) reader.reject(`${path}.address`, text, "must be an IP address");
    else (type === "InternalIP" ? internal : external).push(address);
  });
  return [...internal, ...external];
}

function readPodCIDRs(reader: ObjectReader, spec: JsonObject): readonly Cidr[] {
  const listed = reader.list(spec, "podCIDRs", "spec");
  const single = reader.text(spec, "podCIDR", "spec") ?? "";
  if (listed.length === 0) return single === "" ? [] : readCidr(reader, single, "spec.podCIDR");
  return listed.flatMap((text, index) => readCidr(reader, text, `spec.podCIDRs[${index}]`));
}

function readCidr(reader: ObjectReader, text: unknown, path: string): readonly Cidr[] {
  const network = typeof text === "string" ? parseCidr(text) : undefined;
  if (network !== undefined) return [network];
  reader.reject(path, text, 'must be a network, for example "10.244.1.0/24"');
  return [];
}

function isLeaving(reader: ObjectReader, node: JsonObject, spec: JsonObject): boolean {
  const metadata = reader.object(node, "metadata", "") ?? {};
  const deleted = reader.text(metadata, "deletionTimestamp", "metadata") !== undefined;
  const taints = reader.list(spec, "taints", "spec");
  return deleted || taints.some((taint) => field(taint, "key") === DELETION_TAINT);
}
