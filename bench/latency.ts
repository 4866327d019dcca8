/**
 * `npm run bench -- latency`: measures the whole agent with the API server of a large cluster, on a real kernel. It
 * measures the time to read and program the cluster, first with an empty kernel and then after a restart. Then, at 20
 * changed EndpointSlices a second, it measures the time from the change in the API server to the new real server in the
 * kernel. It prints a table and writes it, with the figures as JSON, to bench/results/.
 *
 *   node bench/latency.ts [SERVICESxENDPOINTS [NODE FLAG FOR THE AGENT...]]
 *
 * One process runs the API server and observes the kernel, so both times are from the same clock.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { release, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { NODE_FLAGS } from "../build.ts";
import { NetlinkKernel } from "../src/kernel/netlink-kernel.ts";
import { ApiServer } from "../test/support/api/api-server.ts";
import { ClusterModel } from "./api/cluster-model.ts";
import { type Distribution, distribution, short } from "./statistics.ts";
import { changeLatencies } from "./watch/change-latency.ts";
import { MeasuredAgent } from "./watch/measured-agent.ts";
import type { Sample } from "./watch/probe.ts";
import { writeResults } from "./write-results.ts";

const USUAL_SIZE = "10000x15";
const SIZE = process.argv[2] ?? USUAL_SIZE;
const [services = 0, endpoints = 0] = SIZE.split("x").map(Number);
const CHANGES = 1000;
const SETTLE_MS = 10_000;
const FLAGS = process.argv.length > 3 ? process.argv.slice(3) : NODE_FLAGS;
const NODE = { name: "node-0", address: "192.0.2.10" };

/** The measurements of one agent. */
interface Run {
  /** Time from the first request until the first lists are complete. */
  readonly listedMs: number;
  /** Time from the first request until the kernel has the whole cluster. */
  readonly programmedMs: number;
  readonly programmed: Sample;
  readonly settled: Sample;
  readonly changes: Distribution;
  /** Sample after the changes; its longest block is from the time of the changes. */
  readonly changed: Sample;
}

const model = new ClusterModel({ services, endpoints }, NODE);
let onRequest = () => {};
const server = await ApiServer.start({
  handle: (request, reply) => {
    onRequest();
    model.handle(request, reply);
  },
});
const kernel = new NetlinkKernel({ chains: {} });
const folder = mkdtempSync(join(tmpdir(), "kube-ipvs-bench-"));

async function measure(syncPeriod: string, firstChange: number): Promise<Run> {
  const connected = Promise.withResolvers<void>();
  onRequest = connected.resolve;
  const subject = { url: server.url, nodeName: NODE.name, flags: [`--ipvs-sync-period=${syncPeriod}`] };
  await using agent = await MeasuredAgent.start(folder, FLAGS, subject);
  await connected.promise;
  agent.reset();
  const startMs = performance.now();
  await agent.logged("first lists complete");
  const listedMs = performance.now() - startMs;
  await agent.logged("first sync complete");
  const programmedMs = performance.now() - startMs;
  const programmed = await agent.sample();
  await sleep(SETTLE_MS);
  const settled = await agent.sample();
  agent.reset();
  const samples = await changeLatencies(model, kernel, { services, first: firstChange, count: CHANGES });
  return { listedMs, programmedMs, programmed, settled, changes: distribution(samples), changed: await agent.sample() };
}

function rowsOf(runs: readonly Run[]): readonly (readonly string[])[] {
  const row = (name: string, text: (run: Run) => string) => [name, ...runs.map(text)];
  const ms = (name: string, pick: (run: Run) => number) => row(name, (run) => `${short(pick(run))} ms`);
  const mib = (name: string, pick: (run: Run) => number) => row(name, (run) => `${short(pick(run))} MiB`);
  return [
    ms("first lists complete", (run) => run.listedMs),
    ms("kernel programmed", (run) => run.programmedMs),
    ms("CPU until programmed", ({ programmed }) => programmed.cpuMs),
    ms("longest block until programmed", ({ programmed }) => programmed.longestBlockMs),
    ms("CPU in that block", ({ programmed }) => programmed.longestBlockCpuMs),
    mib("peak RSS until programmed", ({ programmed }) => programmed.peakRssMiB),
    mib("RSS after 10 s", ({ settled }) => settled.rssMiB),
    mib("heap after 10 s", ({ settled }) => settled.heapMiB),
    ms("change to kernel, p50", ({ changes }) => changes.p50),
    ms("p90", ({ changes }) => changes.p90),
    ms("p99", ({ changes }) => changes.p99),
    ms("max", ({ changes }) => changes.max),
    ms("longest block during changes", ({ changed }) => changed.longestBlockMs),
    ms("CPU in that block", ({ changed }) => changed.longestBlockCpuMs),
    mib("peak RSS at the end", ({ changed }) => changed.peakRssMiB),
  ];
}

try {
  const cold = await measure("1h", 0);
  const again = await measure("30s", CHANGES);
  const machine = {
    date: new Date().toISOString().slice(0, 10),
    kernel: release(),
    isUserModeLinux: readFileSync("/proc/cpuinfo", "utf8").includes("User Mode Linux"),
    node: process.version,
    flags: FLAGS,
  };
  const where = `${machine.isUserModeLinux ? "User Mode Linux" : "Linux"} ${machine.kernel}`;
  const text = `The whole agent with ${services} Services and ${services * endpoints} endpoints. Measured ${machine.date} by \`npm run bench -- latency\` on ${where}, Node ${machine.node} with ${FLAGS.join(" ")}.`;
  const head = ["", "empty kernel, no resyncs", "restart, resync every 30 s"];
  writeResults(SIZE === USUAL_SIZE ? "latency" : `latency-${SIZE}`, text, [head, ...rowsOf([cold, again])], {
    machine,
    services,
    endpoints,
    cold,
    again,
  });
} finally {
  await kernel.close();
  await server.close();
  rmSync(folder, { recursive: true, force: true });
}
