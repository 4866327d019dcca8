/** The size of a cluster of equal Services. */
export interface Size {
  readonly services: number;
  /** Endpoints of each Service. */
  readonly endpoints: number;
  /** Ports of each Service; each is a virtual server with all endpoints. */
  readonly ports: number;
}

/** What a size may be: for errors. */
export const SIZE_FORM = "SERVICESxENDPOINTS or SERVICESxENDPOINTSxPORTS, as 1000x10 or 1x10x1000; 1000 is 1000x10";

/** Cluster IPs and pod addresses of the benchmarks have room for so many. */
const MOST_SERVICES = 200_000;
const MOST_ENDPOINTS = 1_000_000;
const MOST_PORTS = 10_000;
const USUAL_ENDPOINTS = 10;

/** Returns undefined if the text is no size, or one that has no room. */
export function parseSize(text: string): Size | undefined {
  if (!/^[1-9]\d{0,6}(x[1-9]\d{0,6}){0,2}$/.test(text)) return undefined;
  const [services = 0, endpoints = USUAL_ENDPOINTS, ports = 1] = text.split("x").map(Number);
  const fits = services <= MOST_SERVICES && services * endpoints <= MOST_ENDPOINTS && ports <= MOST_PORTS;
  return fits && services * ports * endpoints <= MOST_ENDPOINTS ? { services, endpoints, ports } : undefined;
}

export function sizeText({ services, endpoints, ports }: Size): string {
  return [services, endpoints, ...(ports === 1 ? [] : [ports])].join("x");
}

/** "10,000 Services x 10 endpoints". */
export function sizeTitle({ services, endpoints, ports }: Size): string {
  const count = (number: number, word: string) => `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;
  return `${count(services, "Service")} x ${count(endpoints, "endpoint")}${ports === 1 ? "" : ` x ${count(ports, "port")}`}`;
}

/** Sorts texts of sizes: those with 10 endpoints and one port first, by the number of Services; then other shapes. */
export function compareSizes(a: string, b: string): number {
  const [one, other] = [parseSize(a), parseSize(b)];
  if (one === undefined || other === undefined) return 0;
  const shape = ({ endpoints, ports }: Size) => (endpoints === USUAL_ENDPOINTS && ports === 1 ? 0 : 1);
  return shape(one) - shape(other) || one.services - other.services || one.endpoints - other.endpoints;
}
