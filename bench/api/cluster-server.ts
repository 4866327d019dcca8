/**
 * Runs an API server of a large cluster in a process of its own, until its standard input ends. It prints its URL.
 *
 *   node bench/api/cluster-server.ts SERVICES ENDPOINTS
 */
import { once } from "node:events";
import { ApiServer } from "../../test/support/api/api-server.ts";
import { ClusterModel } from "./cluster-model.ts";

const [services = 0, endpoints = 0] = process.argv.slice(2, 4).map(Number);
const model = new ClusterModel({ services, endpoints }, { name: "node-0", address: "192.0.2.10" });
const server = await ApiServer.start(model);
process.stdout.write(`${server.url}\n`);
await once(process.stdin.resume(), "end");
await server.close();
