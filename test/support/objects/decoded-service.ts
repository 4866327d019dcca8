import { decodeService } from "../../../src/sources/decode/decode-service.ts";
import { type PortSpec, type ServiceSpec, serviceObject } from "./builders.ts";

/** The valid parts of a Service that must still be accepted, and "field=value: reason" for each of its faults. */
export function decoded(said: ServiceSpec) {
  const result = decodeService(serviceObject("shop/web", said));
  if (result.kind !== "accepted") throw new Error(`not wanted: ${JSON.stringify(result)}`);
  return {
    value: result.value,
    faults: result.problems.map((fault) => `${fault.field}=${fault.value}: ${fault.reason}`),
  };
}

/** The ports that are accepted, and the faults. */
export function portsOf(ports: readonly PortSpec[], said: ServiceSpec = {}) {
  const { value, faults } = decoded({ ...said, ports });
  return {
    ports: value.ports.map((port) => `${port.key} ${port.port}${port.nodePort === 0 ? "" : `@${port.nodePort}`}`),
    faults,
  };
}
