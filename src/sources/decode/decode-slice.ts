import { familyOf, type IPAddress, type IPFamily, parseAddress, specialPurpose } from "../../model/address.ts";
import { problemObject } from "../../model/cluster/problem.ts";
import {
  type EndpointSlice,
  type PortKey,
  portKey,
  type SliceName,
  serviceName,
  sliceName,
} from "../../model/cluster/service.ts";
import { type Backend, SliceEndpoints, USUAL_WEIGHT } from "../../model/cluster/slice-endpoints.ts";
import { TextTable } from "../../model/text-table.ts";
import type { Decoded } from "../../services/cluster-event.ts";
import { type Annotation, PREFIX, rejectUnknown } from "./decode-overrides.ts";
import {
  annotationOf,
  annotationPath,
  annotationsOf,
  field,
  identityOf,
  invalidObject,
  isJsonObject,
  type JsonObject,
  labelOf,
  ObjectReader,
  stringOf,
} from "./object-reader.ts";

const SERVICE_LABEL = "kubernetes.io/service-name";
const HEADLESS_LABEL = "service.kubernetes.io/headless";
const CHANGE_ANNOTATION = "endpoints.kubernetes.io/last-change-trigger-time";
const WEIGHTS = `${PREFIX}weights`;

/** The maximum weight with which the kernel's weighted schedulers do not overflow. */
const MAX_WEIGHT = 65_535;

/** The annotation of an EndpointSlice for weights. */
export const WEIGHTS_ANNOTATION: Annotation = {
  name: WEIGHTS,
  value: "comma list of address=weight, as `10.244.1.5=3,10.244.1.6=0`",
  effect: `Weights of endpoints, from 0 to ${MAX_WEIGHT}. An endpoint without one has weight 1`,
};

/** The maximum length of the annotation in characters. It has room for 1,000 endpoints, the maximum of a slice. */
const LONGEST_WEIGHTS = 65_536;

/** The shared list of endpoints without hints. */
const NO_HINTS: readonly string[] = [];

/**
 * Decodes a discovery.k8s.io/v1 EndpointSlice. Slices without a Service, of a headless Service, or of host names (FQDN)
 * are ignored. Invalid endpoints and ports are rejected and left out; invalid hints are rejected and ignored. A source
 * of many slices passes the same `texts` for all, so that slices share equal strings.
 */
export function decodeEndpointSlice(object: unknown, texts = new TextTable()): Decoded<SliceName, EndpointSlice> {
  const identity = identityOf(object);
  if (identity === undefined || !isJsonObject(object)) return invalidObject("EndpointSlice", object);
  const name = sliceName(identity.namespace, identity.name);
  const reader = new ObjectReader(problemObject("EndpointSlice", name));
  const service = labelOf(object, SERVICE_LABEL) ?? "";
  const addressType = field(object, "addressType");
  if (service === "" || labelOf(object, HEADLESS_LABEL) !== undefined || addressType === "FQDN") {
    return { kind: "ignored", name, problems: [] };
  }
  if (addressType !== "IPv4" && addressType !== "IPv6") {
    reader.reject("addressType", addressType, "must be one of IPv4, IPv6, FQDN");
    return { kind: "invalid", problems: reader.problems };
  }
  const value: EndpointSlice = {
    name,
    service: serviceName(identity.namespace, service),
    family: addressType,
    endpoints: new SliceEndpoints(
      readPorts(reader, object),
      readBackends(reader, object, { family: addressType, weights: readWeights(reader, object) }),
      texts,
    ),
    changedAtUnixMs: readChangeTime(reader, object),
  };
  return { kind: "accepted", name, value, problems: reader.problems };
}

/** Reads the ports. A missing name is the empty name, which the API server sets as default. */
function readPorts(reader: ObjectReader, slice: JsonObject): ReadonlyMap<PortKey, number> {
  const ports = new Map<PortKey, number>();
  reader.list(slice, "ports", "").forEach((object, index) => {
    const path = `ports[${index}]`;
    const [key, port] = readPort(reader, object, path) ?? [];
    if (key === undefined || port === undefined) return;
    if (ports.has(key)) reader.reject(path, object, "has the name and protocol of an earlier port");
    else ports.set(key, port);
  });
  return ports;
}

/** Returns undefined for an invalid port, and for one without a number, which in the API means no port or any port. */
function readPort(reader: ObjectReader, object: unknown, path: string): readonly [PortKey, number] | undefined {
  if (!isJsonObject(object)) {
    reader.reject(path, object, "must be an object");
    return undefined;
  }
  if ((field(object, "port") ?? 0) === 0) return undefined;
  const name = reader.portName(object, path);
  const protocol = reader.protocol(object, path);
  const port = reader.portNumber(object, path);
  if (name === undefined || protocol === undefined || port === undefined) return undefined;
  return [portKey(name, protocol), port];
}

/** The properties that all endpoints of a slice share. */
interface SliceFacts {
  readonly family: IPFamily;
  /** The weights of endpoints; undefined if there are none. */
  readonly weights: ReadonlyMap<IPAddress, number> | undefined;
}

/**
 * Reads the weights of endpoints by address, for example "10.244.1.5=3, 10.244.1.6=0". An endpoint with weight 0 gets
 * no new connections. Invalid parts are rejected and left out. An address that is not in the slice is no error, because
 * weights and endpoints may be written by different programs.
 *
 * Undefined without the annotation: looking up 500,000 addresses even in an empty Map costs 13 MB, because V8
 * internalizes every string that is looked up.
 */
function readWeights(reader: ObjectReader, slice: JsonObject): ReadonlyMap<IPAddress, number> | undefined {
  const annotations = annotationsOf(slice);
  rejectUnknown(reader, annotations, [WEIGHTS_ANNOTATION.name]);
  const text = annotations[WEIGHTS] ?? "";
  if (text === "") return undefined;
  const parts = stringOf(text);
  if (parts.length > LONGEST_WEIGHTS) {
    reader.reject(annotationPath(WEIGHTS), parts, `must not be longer than ${LONGEST_WEIGHTS} characters`);
    return undefined;
  }
  const weights = new Map<IPAddress, number>();
  for (const part of parts.split(",")) {
    const [address, weight] = readWeight(part) ?? [];
    const fault = partFault(address, weights);
    if (fault !== undefined) reader.reject(annotationPath(WEIGHTS), part, fault);
    else if (address !== undefined && weight !== undefined) weights.set(address, weight);
  }
  return weights;
}

function readWeight(part: string): readonly [IPAddress, number] | undefined {
  const match = /^([^=]+)=\s*(\d{1,5})\s*$/.exec(part);
  const address = parseAddress(match?.[1] ?? "");
  const weight = Number(match?.[2]);
  return address === undefined || weight > MAX_WEIGHT ? undefined : [address, weight];
}

function partFault(address: IPAddress | undefined, before: ReadonlyMap<IPAddress, number>): string | undefined {
  if (address === undefined) return `must be address=weight with a weight from 0 to ${MAX_WEIGHT}`;
  return before.has(address) ? "is a second weight for the same address" : undefined;
}

function readBackends(reader: ObjectReader, slice: JsonObject, facts: SliceFacts): readonly Backend[] {
  const backends: Backend[] = [];
  reader.list(slice, "endpoints", "").forEach((object, index) => {
    const backend = readBackend(reader, object, `endpoints[${index}]`, facts);
    if (backend !== undefined) backends.push(backend);
  });
  return backends;
}

function readBackend(
  reader: ObjectReader,
  object: unknown,
  path: string,
  { family, weights }: SliceFacts,
): Backend | undefined {
  if (!isJsonObject(object)) {
    reader.reject(path, object, "must be an object");
    return undefined;
  }
  const before = reader.problemCount;
  const address = readAddress(reader, object, path, family);
  const conditions = reader.object(object, "conditions", path) ?? {};
  const below = `${path}.conditions`;
  const ready = reader.boolean(conditions, "ready", below) ?? true;
  const serving = reader.boolean(conditions, "serving", below) ?? true;
  const terminating = reader.boolean(conditions, "terminating", below) ?? false;
  // An endpoint with an invalid address or invalid conditions gets no traffic.
  if (address === undefined || reader.problemCount > before) return undefined;
  const hints = reader.object(object, "hints", path);
  return {
    address,
    ready,
    serving,
    terminating,
    nodeName: reader.text(object, "nodeName", path) ?? "",
    zoneHints: readHints(reader, hints, "forZones", path),
    nodeHints: readHints(reader, hints, "forNodes", path),
    weight: weights?.get(address) ?? USUAL_WEIGHT,
  };
}

/** Reads the first address; the API defines the others as equivalent. An endpoint without addresses is left out. */
function readAddress(
  reader: ObjectReader,
  endpoint: JsonObject,
  path: string,
  family: IPFamily,
): IPAddress | undefined {
  const [text] = reader.list(endpoint, "addresses", path);
  if (text === undefined) return undefined;
  const address = typeof text === "string" ? parseAddress(text) : undefined;
  const fault = address === undefined ? `must be an ${family} address` : addressFault(address, family);
  if (fault === undefined) return address;
  reader.reject(`${path}.addresses[0]`, text, fault);
  return undefined;
}

function addressFault(address: IPAddress, family: IPFamily): string | undefined {
  return familyOf(address) === family ? specialPurpose(address) : `must be an ${family} address`;
}

function readHints(
  reader: ObjectReader,
  hints: JsonObject | undefined,
  key: "forZones" | "forNodes",
  path: string,
): readonly string[] {
  const list = hints === undefined ? [] : reader.list(hints, key, `${path}.hints`);
  if (list.length === 0) return NO_HINTS;
  const names: string[] = [];
  for (const [index, hint] of list.entries()) {
    const name = field(hint, "name");
    if (typeof name === "string" && name !== "") names.push(name);
    else reader.reject(`${path}.hints.${key}[${index}]`, hint, "must have a name");
  }
  return names;
}

const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/;

/** Returns milliseconds since the epoch; 0 if there is no time. */
function readChangeTime(reader: ObjectReader, slice: JsonObject): number {
  const text = annotationOf(slice, CHANGE_ANNOTATION);
  if (text === undefined || text === "") return 0;
  const time = RFC3339.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(time)) return time;
  reader.reject(annotationPath(CHANGE_ANNOTATION), text, "must be an RFC 3339 time");
  return 0;
}
