import type { ServicePortName } from "../../../model/cluster/service.ts";
import { parseVirtualServerKey, type VirtualServerKey } from "../../../model/kernel/ipvs.ts";
import type { TrafficCounts } from "../../../model/kernel/traffic.ts";
import type { TrafficTotal, TrafficTotals } from "./traffic-totals.ts";

/** Ports, or virtual servers, whose lines are written in one turn of the event loop: about a millisecond. */
const SLICE = 500;

const OWNER_LABELS = ["namespace", "service", "port"] as const;

interface TrafficMetric {
  readonly name: string;
  readonly type: "counter" | "gauge";
  readonly help: string;
  readonly labelNames: readonly string[];
}

/** The metrics of the traffic of Services, by field of the counters. */
export const TRAFFIC_METRICS: Readonly<Record<keyof TrafficCounts, TrafficMetric>> = {
  connections: counter("kube_ipvs_service_connections_total", "Connections that IPVS has scheduled"),
  packetsIn: counter("kube_ipvs_service_incoming_packets_total", "Packets from clients"),
  packetsOut: counter("kube_ipvs_service_outgoing_packets_total", "Packets to clients"),
  bytesIn: counter("kube_ipvs_service_incoming_bytes_total", "Bytes from clients"),
  bytesOut: counter("kube_ipvs_service_outgoing_bytes_total", "Bytes to clients"),
};

/** The labels of a virtual server are those of node_ipvs_* of node_exporter. */
export const SERVER_METRIC: TrafficMetric = {
  name: "kube_ipvs_virtual_server_info",
  type: "gauge",
  help: "Is 1 for each virtual server of a port of a Service, with --virtual-server-info. Joins node_ipvs_* of node_exporter by local_address, local_port, proto and local_mark.",
  labelNames: [...OWNER_LABELS, "local_address", "local_port", "proto", "local_mark"],
};

function counter(name: string, what: string): TrafficMetric {
  return {
    name,
    type: "counter",
    help: `${what} through all virtual servers of a port of a Service on this node, with --service-traffic-metrics. With a number, service="other" has the traffic of all other ports.`,
    labelNames: OWNER_LABELS,
  };
}

// The keys of a Record of exactly these fields.
const FIELDS = Object.entries(TRAFFIC_METRICS) as [keyof TrafficCounts, TrafficMetric][];

/** Returns the totals in the text format of Prometheus, with a turn of the event loop after each slice. */
export async function trafficText(totals: TrafficTotals, nextTurn: () => Promise<void>): Promise<string> {
  const lines = FIELDS.map(([field, metric]) => ({ field, metric, samples: [] as string[] }));
  await inSlices(totals.totals(), nextTurn, ({ owner, counts }: TrafficTotal) => {
    const labels = ownerLabels(owner);
    for (const { field, metric, samples } of lines) samples.push(`${metric.name}{${labels}} ${counts[field]}`);
  });
  let text = "";
  for (const { metric, samples } of lines) {
    text += family(metric, samples);
    await nextTurn();
  }
  return text;
}

/** Returns a sample for each virtual server whose port has a total of its own, as `trafficText`. */
export async function serversText(totals: TrafficTotals, nextTurn: () => Promise<void>): Promise<string> {
  const samples: string[] = [];
  await inSlices(totals.servers(), nextTurn, ([key, owner]) => {
    samples.push(`${SERVER_METRIC.name}{${ownerLabels(owner)},${serverLabels(key)}} 1`);
  });
  return family(SERVER_METRIC, samples);
}

async function inSlices<Item>(
  items: Iterable<Item>,
  nextTurn: () => Promise<void>,
  write: (item: Item) => void,
): Promise<void> {
  let count = 0;
  for (const item of items) {
    write(item);
    if (++count % SLICE === 0) await nextTurn();
  }
}

function family({ name, type, help }: TrafficMetric, samples: readonly string[]): string {
  return `\n${[`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...samples].join("\n")}\n`;
}

/** Names of Kubernetes have no character that must be escaped. */
function ownerLabels({ namespace, service, port }: ServicePortName): string {
  return `namespace="${namespace}",service="${service}",port="${port}"`;
}

/** The labels of node_exporter: of a virtual server by mark it has the mark, in the digits of /proc/net/ip_vs, and no address. */
function serverLabels(key: VirtualServerKey): string {
  const { protocol, address, port, mark } = parseVirtualServerKey(key);
  if (mark === 0) return `local_address="${address}",local_port="${port}",proto="${protocol}",local_mark=""`;
  const digits = mark.toString(16).toUpperCase().padStart(8, "0");
  return `local_address="",local_port="0",proto="FWM",local_mark="${digits}"`;
}
