import { nodeObject, serviceCIDRObject, serviceObject, sliceObject } from "../objects/builders.ts";
import { hostileKey, hostileNumber, hostileValue } from "./hostile-values.ts";
import { below, oneOf, type Random, randomFrom } from "./random.ts";

export type HostileKind = "Service" | "EndpointSlice" | "Node" | "ServiceCIDR";

/** Objects with every field that the agent reads. */
const WHOLE: Readonly<Record<HostileKind, object>> = {
  Service: {
    ...serviceObject("shop/web", {
      type: "LoadBalancer",
      ip: ["10.96.0.1", "fd00::1"],
      ports: [
        { name: "http", port: 80, protocol: "TCP", nodePort: 30_080 },
        { name: "dns", port: 53, protocol: "UDP", nodePort: 30_053 },
      ],
      affinity: 60,
      internal: "Local",
      external: "Local",
      externalIPs: ["203.0.113.5", "2001:db8::5"],
      sourceRanges: ["192.0.2.0/24", "2001:db8:1::/48"],
      healthCheckNodePort: 31_000,
      labels: { "k8s-app": "kube-dns" },
      annotations: {
        "kube-ipvs.io/scheduler": "mh",
        "kube-ipvs.io/scheduler-flags": "mh-port",
        "kube-ipvs.io/one-packet": "true",
        "kube-ipvs.io/drain-timeout": "30s",
        "kube-router.io/service.scheduler": "rr",
        "service.beta.kubernetes.io/load-balancer-source-ranges": "192.0.2.0/24",
      },
      spec: { ipFamilies: ["IPv4", "IPv6"] },
      status: { loadBalancer: { ingress: [{ ip: "198.51.100.5", ipMode: "VIP" }, { hostname: "lb.example.org" }] } },
    }),
  },
  EndpointSlice: sliceObject("shop/web-1", {
    ports: [
      { name: "http", port: 8080 },
      { name: "dns", port: 53, protocol: "UDP" },
    ],
    endpoints: [
      "10.0.0.1",
      { ip: "10.0.0.2", ready: false, serving: true, terminating: true, node: "a", zones: ["z"], nodes: ["a"] },
    ],
    annotations: {
      "endpoints.kubernetes.io/last-change-trigger-time": "2026-01-02T03:04:05Z",
      "kube-ipvs.io/weights": "10.0.0.1=3,10.0.0.2=0",
    },
  }),
  Node: nodeObject("node-a", {
    zone: "z",
    ips: ["192.168.0.1", "fd01::1"],
    externalIPs: ["203.0.113.1"],
    podCIDRs: ["10.1.0.0/24", "fd02::/64"],
    taints: ["x"],
  }),
  ServiceCIDR: serviceCIDRObject("kubernetes", ["10.96.0.0/16", "fd00::/112"]),
};

export const HOSTILE_KINDS: readonly HostileKind[] = ["Service", "EndpointSlice", "Node", "ServiceCIDR"];

/** Where a value stands. */
interface Place {
  readonly parent: Record<string, unknown> | unknown[];
  readonly key: string;
  readonly value: unknown;
}

/** A whole object of the kind with one change for each seed, as JSON or YAML could hold it. Whoever writes to it fails. */
export function hostileObject(kind: HostileKind, seeds: readonly number[]): object {
  const object = copy(WHOLE[kind]);
  for (const seed of seeds) change(object, randomFrom(seed));
  return freeze(object);
}

type Change = (place: Place, random: Random, others: readonly Place[]) => void;

const CHANGES: readonly Change[] = [
  replace,
  replace,
  ({ parent, key }) => {
    if (Array.isArray(parent)) parent.splice(Number(key), 1);
    else Reflect.deleteProperty(parent, key);
  },
  ({ parent, key }, random, others) => set(parent, key, copy(oneOf(others, random).value)),
  ({ parent, key, value }, random) => set(parent, key, random() < 0.5 ? [value] : { [hostileKey(random)]: value }),
  insert,
  twist,
];

function change(object: object, random: Random): void {
  const places = [...placesIn(object)];
  if (places.length > 0) oneOf(CHANGES, random)(oneOf(places, random), random, places);
}

function replace({ parent, key }: Place, random: Random): void {
  set(parent, key, hostileValue(random));
}

/** Adds one more item, which may be there already, or one more field. */
function insert(place: Place, random: Random): void {
  const { value } = place;
  if (Array.isArray(value)) {
    const item = random() < 0.3 ? hostileValue(random) : copy(value[below(value.length, random)]);
    if (isObject(item) && random() < 0.7) change(item, random);
    value.splice(below(value.length + 1, random), 0, item);
  } else if (isObject(value)) set(value, hostileKey(random), hostileValue(random));
  else replace(place, random);
}

/** Another number in a text, as a port, a weight, a prefix, an hour. */
function twist(place: Place, random: Random): void {
  const { parent, key, value } = place;
  const numbers = typeof value === "string" ? [...value.matchAll(/\d+/g)] : [];
  if (typeof value === "string" && numbers.length > 0) {
    const { 0: number, index } = oneOf(numbers, random);
    set(parent, key, value.slice(0, index) + hostileNumber(random) + value.slice(index + number.length));
  } else replace(place, random);
}

/** From the outside in, so far as somebody would look. */
function* placesIn(parent: object, depth = 0): Generator<Place> {
  if (depth > 8) return;
  for (const [key, value] of Object.entries(parent).slice(0, 20)) {
    yield { parent: parent as Place["parent"], key, value };
    if (isObject(value)) yield* placesIn(value, depth + 1);
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

/** As a field of its own, whatever its name is. */
function set(parent: object, key: string, value: unknown): void {
  Object.defineProperty(parent, key, { value, enumerable: true, writable: true, configurable: true });
}

function copy<Value>(value: Value): Value;
function copy(value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => copy(item));
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, copy(item)]));
}

function freeze(value: object): object {
  if (Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const item of Object.values(value)) if (isObject(item)) freeze(item);
  return value;
}
