/**
 * Runs an API server of a large cluster in a process of its own. It prints its URL. A line "INDEX GENERATION" on its
 * standard input replaces the first endpoint of that Service.
 *
 *   node bench/api/cluster-server.ts SERVICES ENDPOINTS
 */
import { createInterface } from "node:readline";
import { ApiServer } from "../../test/support/api/api-server.ts";
import { ClusterModel } from "./cluster-model.ts";

const [services = 0, endpoints = 0] = process.argv.slice(2, 4).map(Number);
const model = new ClusterModel({ services, endpoints }, { name: "node-0", address: "192.0.2.10" });
const server = await ApiServer.start(model);
process.stdout.write(`${server.url}\n`);
for await (const line of createInterface({ input: process.stdin })) {
  const [index = 0, generation = 0] = line.split(" ").map(Number);
  model.change(index, generation, new Date().toISOString());
}
await server.close();
