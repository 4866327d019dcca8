import type { ServiceTable } from "../../src/services/service-table.ts";
import type { ObjectCounts } from "./subject.ts";

/** The objects of a table. Ports of one Service share their endpoints, which count once. */
export function countsOf(table: ServiceTable): ObjectCounts {
  const names = [...table.serviceNames()];
  const most = names.map((name) => Math.max(0, ...Array.from(table.endpoints(name), ([, list]) => list.length)));
  return { services: names.length, endpoints: most.reduce((sum, count) => sum + count, 0) };
}
