/**
 * `npm run bench -- sentinels`: measures what the watch of sentinels costs (src/sync/sentinel-watch.ts): a look each second
 * for four virtual servers by name, with 1,000 and with 10,000 virtual servers in the kernel, and, to compare, one read of
 * all virtual servers. One look is what the agent does in one second, and its thread waits for nothing but the kernel, so that
 * its time is the CPU that the watch takes in a second. It prints a table and writes it into a folder: `node bench/parts/sentinels.ts FOLDER`.
 */
import { cpus, release } from "node:os";
import { NetlinkKernel } from "../../src/kernel/netlink-kernel.ts";
import { type IPAddress, parseAddress } from "../../src/model/address.ts";
import type { Scheduler } from "../../src/model/kernel/ipvs.ts";
import { type VirtualServer, type VirtualServerKey, virtualServer } from "../../src/model/kernel/ipvs.ts";
import { RealServers } from "../../src/model/kernel/real-servers.ts";
import type { ServerState } from "../../src/model/kernel/server-state.ts";
import { Sentinels } from "../../src/sync/sentinels.ts";
import { distribution, short } from "../report/statistics.ts";
import { writePart } from "./write-part.ts";

const SIZES = [1_000, 10_000];
const LOOKS = 2_000;
const RR = "rr" as Scheduler; // the name of a scheduler of Linux

interface Row {
  readonly servers: number;
  /** Microseconds of one look. */
  readonly p50: number;
  readonly p90: number;
  /** Milliseconds of one read of all virtual servers. */
  readonly whole: number;
}

async function measure(kernel: NetlinkKernel, servers: readonly VirtualServer[]): Promise<Row> {
  const states = new Map(servers.map((server): [VirtualServerKey, ServerState] => [server.key, stateOf(server)]));
  const all = {
    server: (key: VirtualServerKey) => states.get(key),
    servers: () => states.values(),
  };
  const reader = { actual: all, isKnown: true, invalidated: new Set<VirtualServerKey>(), invalidate: () => {} };
  const sentinels = new Sentinels(reader, all);
  const micros: number[] = [];
  const looks = async (count: number): Promise<void> => {
    for (let look = 0; look < count; look++) {
      const began = performance.now();
      const keys = sentinels.take();
      const found = await kernel.present(keys);
      micros.push((performance.now() - began) * 1000);
      if (found.size !== keys.size || keys.size === 0) throw new Error("a sentinel is missing");
    }
  };
  await looks(LOOKS / 4);
  micros.length = 0;
  await looks(LOOKS);
  const { p50, p90 } = distribution(micros);
  const began = performance.now();
  for await (const part of kernel.parts()) if (part.servers.size === 0 && part.unnamedServers === 0) break;
  const whole = performance.now() - began;
  return { servers: servers.length, p50, p90, whole };
}

function stateOf(server: VirtualServer): ServerState {
  return { server, reals: RealServers.of([]) };
}

function addressOf(number: number): IPAddress {
  const address = parseAddress(`10.96.${number >> 8}.${number & 255}`);
  if (address === undefined) throw new Error("not an address");
  return address;
}

const kernel = new NetlinkKernel({ chains: {} });
const rows: Row[] = [];
const servers: VirtualServer[] = [];
for (const size of SIZES) {
  const fresh = Array.from({ length: size - servers.length }, (_, index) =>
    virtualServer("TCP", addressOf(servers.length + index), 80, { scheduler: RR }),
  );
  const outcomes = await kernel.apply(fresh.map((server) => ({ kind: "add-virtual-server", server })));
  if (!outcomes.every(({ ok }) => ok)) throw new Error(JSON.stringify(outcomes.find(({ ok }) => !ok)));
  servers.push(...fresh);
  rows.push(await measure(kernel, servers));
}
await kernel.close();

const text = `Linux ${release()}, Node.js ${process.version}, ${cpus()[0]?.model ?? "unknown CPU"}, ${new Date().toISOString().slice(0, 10)}: \`npm run bench -- sentinels\``;
const head = ["virtual servers", "one look each second, p50", "p90", "all virtual servers read, once"];
const table = rows.map(({ servers, p50, p90, whole }) => [
  servers.toLocaleString("en"),
  `${short(p50)} us`,
  `${short(p90)} us`,
  `${short(whole)} ms`,
]);
writePart(process.argv[2] ?? ".", "sentinels", { text, rows: [head, ...table], figures: rows });
