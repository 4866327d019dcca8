/**
 * Measures the agent from objects in memory to the last acknowledgement of the kernel, in a process and network namespace of its
 * own: `node bench/stages/sync-stage.ts SIZE KERNEL [FOLDER]`, where KERNEL is netlink or memory. It programs the cluster, starts
 * again with the objects in the kernel, reads everything again, and changes one endpoint at a time. Prints events.
 *
 * With a FOLDER it measures nothing, but records every acknowledged datagram there, as setup.bin, cold.bin, warm-up.bin and
 * change.bin for `replay.pl`, and after the cold start the state of the kernel as text for other programs.
 */
import { join } from "node:path";
import type { Kernel } from "../../src/kernel/kernel.ts";
import { NetlinkKernel } from "../../src/kernel/netlink-kernel.ts";
import { PROXY_CHAINS } from "../../src/node/rules/proxy-rules.ts";
import { tuneHeap } from "../../src/process/heap.ts";
import { MemoryKernel } from "../../test/support/memory-kernel/memory-kernel.ts";
import { changeCountOf } from "../floors/change-count.ts";
import { Recorder } from "../floors/recorder.ts";
import { leaveState } from "../floors/restore.ts";
import { SyncTarget } from "../floors/sync-target.ts";
import { Workload } from "../floors/workload.ts";
import { parseSize, SIZE_FORM } from "../report/size.ts";
import { type Samples, sendSamples } from "../scenarios/stage.ts";

tuneHeap();

const RESYNCS = 5;
/** A sixth of them is enough where each one reads 500,000 endpoints. */
const RESYNCS_OF_LARGE = 2;
const LARGE = 20_000;

const [sizeWord = "", kernelWord = "netlink", folder] = process.argv.slice(2);
const size = parseSize(sizeWord);
if (size === undefined) throw new Error(`the size must be ${SIZE_FORM}`);
const { warmUp, count } = changeCountOf(size);
const subject = { name: kernelWord === "memory" ? "sync, kernel in memory" : "kube-ipvs" };

let recorder: Recorder | undefined;
const netlink = new NetlinkKernel({
  chains: PROXY_CHAINS,
  onSend: (bytes, protocol) => recorder?.record(bytes, protocol),
});
const kernel: Kernel = kernelWord === "memory" ? new MemoryKernel() : netlink;
const target = new SyncTarget(kernel);
const workload = new Workload(size);
const samples: Samples[] = [];

async function recording(file: string, work: () => Promise<void>): Promise<void> {
  recorder = folder === undefined ? undefined : new Recorder(join(folder, file));
  await work();
  recorder?.close();
  recorder = undefined;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await work();
  return performance.now() - startMs;
}

// The node is prepared, and the kernel has no virtual servers.
await recording("setup.bin", () => target.resync());

// Cold start: from objects in memory to the last acknowledgement.
const events = workload.all();
await recording("cold.bin", async () => {
  const { sends } = netlink.counters;
  const ms = await timed(async () => {
    target.load(events);
    target.open();
    await target.sync();
  });
  samples.push({ metric: "cold start", unit: "ms", samples: [ms] });
  if (kernelWord === "netlink") {
    samples.push({ metric: "datagrams of a cold start", unit: "", samples: [netlink.counters.sends - sends] });
  }
});

if (folder !== undefined) leaveState(folder);
else {
  // A new process would start from this state.
  target.restart();
  let written = 0;
  const warmMs = await timed(async () => {
    await target.resync();
    target.open();
    written = (await target.sync()).operations;
  });
  samples.push(
    { metric: "warm restart", unit: "ms", samples: [warmMs] },
    { metric: "operations of a warm restart", unit: "", samples: [written] },
  );
  const resyncs = Array.from({ length: size.services > LARGE ? RESYNCS_OF_LARGE : RESYNCS });
  const times: number[] = [];
  for (const _ of resyncs) times.push(await timed(() => target.resync()));
  samples.push({ metric: "resync", unit: "ms", samples: times });
}

// One endpoint of a random Service is replaced by another. The old one has no connections, so its drain ends immediately.
const changes: number[] = [];
let operations = 0;
async function change(number: number): Promise<void> {
  const fresh = workload.replacePod((number * 7919) % (size?.services ?? 1));
  const ms = await timed(async () => {
    target.apply(fresh);
    operations = (await target.sync()).operations;
  });
  changes.push(ms);
}
await recording("warm-up.bin", async () => {
  for (let number = 0; number < warmUp; number++) await change(number);
});
changes.length = 0;
await recording("change.bin", async () => {
  for (let number = 0; number < count; number++) await change(warmUp + number);
});
samples.push(
  { metric: "one change", unit: "ms", samples: changes, as: "percentiles", warmUp },
  { metric: "operations of one change", unit: "", samples: [operations] },
  { metric: "RSS", unit: "MiB", samples: [process.memoryUsage.rss() / 2 ** 20], note: "with the benchmark's objects" },
  {
    metric: "peak RSS",
    unit: "MiB",
    samples: [process.resourceUsage().maxRSS / 1024],
    note: "with the benchmark's objects",
  },
);
await netlink.close();
if (folder === undefined)
  sendSamples({ size, subject }, kernelWord === "memory" ? "kernel in memory" : "sync", ...samples);
