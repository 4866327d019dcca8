import { parseAddress } from "../../../src/model/address.ts";
import type { Endpoint } from "../../../src/model/cluster/service.ts";

/** A ready endpoint on an unknown node, `endpoint("10.244.1.5", 8080, { ready: false })`. */
export function endpoint(ip: string, port = 8080, said: Partial<Endpoint> = {}): Endpoint {
  const address = parseAddress(ip);
  if (address === undefined) throw new Error(`"${ip}" is no address`);
  const state = {
    ready: true,
    serving: true,
    terminating: false,
    nodeName: "",
    zoneHints: [],
    nodeHints: [],
    weight: 1,
  };
  return { address, port, ...state, ...said };
}
