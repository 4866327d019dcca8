/**
 * Measures one cluster size on the real kernel, in a process and network namespace of its own: programs a cluster of
 * that many Services, restarts with the objects in the kernel, changes one endpoint at a time, and prints one JSON
 * line.
 *
 *   node bench/real-kernel.ts SERVICES ENDPOINTS [FOLDER]
 *
 * With a FOLDER it records every acknowledged datagram there, as setup.bin, cold.bin and change.bin for `replay.pl`.
 * The times then include the time for writing these files.
 */
import { availableParallelism, release } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { readCommandLine } from "../src/config/cli.ts";
import { DesiredStateBuilder } from "../src/desired/desired-state-builder.ts";
import type { Kernel } from "../src/kernel/kernel.ts";
import { NetlinkKernel } from "../src/kernel/netlink-kernel.ts";
import { NOTHING_DISCOVERED, nodeFacts } from "../src/node/node-facts.ts";
import { nodeSetup } from "../src/node/node-setup.ts";
import { PROXY_CHAINS } from "../src/node/rules/proxy-rules.ts";
import { tuneHeap } from "../src/process/heap.ts";
import { systemClock } from "../src/process/system-clock.ts";
import { Reconciler } from "../src/sync/reconciler.ts";
import { SyncLoop } from "../src/sync/sync-loop.ts";
import { Recorder } from "./recorder.ts";
import { distribution } from "./statistics.ts";
import { cluster, slice } from "./workload.ts";

tuneHeap();

const CHANGES = 300;
/** The value that the agent uses. */
const SERVICES_PER_TURN = 50;

const [services = 0, endpoints = 0] = process.argv.slice(2, 4).map(Number);
const folder = process.argv[4];

const invocation = readCommandLine(["--node-name=bench", "--manifests=none", "--conntrack-max-per-core=0"], {
  env: {},
  hostname: "bench",
  readFile: () => "",
});
if (invocation.kind !== "command") throw new Error(JSON.stringify(invocation));
const { config } = invocation;
const setup = nodeSetup(
  config,
  { families: ["IPv4"], cpus: availableParallelism(), kernelRelease: release(), liberalConntrack: false },
  { podCIDRs: [], families: ["IPv4"] },
);

let recorder: Recorder | undefined;
const kernel = new NetlinkKernel({
  chains: PROXY_CHAINS,
  onSend: (bytes, protocol) => recorder?.record(bytes, protocol),
});
const state = new DesiredStateBuilder(nodeFacts(config, ["IPv4"], NOTHING_DISCOVERED));

/** A reconciler and its loop, which runs nothing by itself. */
interface Target {
  readonly reconciler: Reconciler;
  readonly loop: SyncLoop;
}

function targetOn(on: Kernel): Target {
  const options = {
    nodeName: config.nodeName,
    excludeCIDRs: [],
    drainTimeoutMs: config.drainTimeoutMs,
    drainCheckMs: 1e9,
  };
  const reconciler = new Reconciler(options, {
    kernel: on,
    desired: state.desired,
    clock: systemClock,
    prepare: async () => void (await on.prepare(setup)),
    nextTurn: () => nextTurn(),
  });
  const loop = new SyncLoop(
    { minSyncPeriodMs: 0, syncPeriodMs: 1e9 },
    {
      reconciler,
      clock: systemClock,
      cpuMs: () => 0,
      random: () => 0.5,
      onSync: () => {},
      onResync: () => {},
      onFailure: () => {},
    },
  );
  return { reconciler, loop };
}

/** Syncs until no work is left; returns the number of operations, without searches for stale flows, and of failed ones. */
async function syncAll({ loop }: Target): Promise<{ operations: number; refused: number }> {
  let operations = 0;
  let refused = 0;
  while (loop.workAtMs() <= systemClock.now()) {
    const report = await loop.sync();
    for (const { kind, count, errno } of report.operations) {
      if (kind === "forget-flows") continue;
      operations += count;
      if (errno !== "") refused += count;
    }
  }
  return { operations, refused };
}

interface Cost {
  readonly ms: number;
  readonly operations: number;
  readonly refused: number;
  readonly sends: number;
  readonly messages: number;
}

async function measured(target: Target, work: () => void | Promise<void>): Promise<Cost> {
  const { sends, messages } = kernel.counters;
  const start = performance.now();
  await work();
  const { operations, refused } = await syncAll(target);
  return {
    ms: performance.now() - start,
    operations,
    refused,
    sends: kernel.counters.sends - sends,
    messages: kernel.counters.messages - messages,
  };
}

function advance({ loop }: Target): void {
  const nowMs = systemClock.now();
  for (const keys of state.advance(Number.POSITIVE_INFINITY)) loop.mark(keys, nowMs);
}

function record(name: string): Recorder | undefined {
  return folder === undefined ? undefined : new Recorder(join(folder, name));
}

// Setup: the node is prepared, and the kernel has no virtual servers.
recorder = record("setup.bin");
const first = targetOn(kernel);
await first.loop.resync();
recorder?.close();

// Cold start: from objects in memory to the last acknowledgement.
const events = [...cluster(services, endpoints)];
recorder = record("cold.bin");
const cold = await measured(first, () => {
  for (const event of events) state.apply(event);
  while (state.stale > 0) state.advance(SERVICES_PER_TURN);
  first.loop.open();
});
recorder?.close();
recorder = undefined;

// Warm restart: a new process would start from this state.
const second = targetOn(kernel);
const warm = await measured(second, async () => {
  await second.loop.resync();
  second.loop.open();
});

// One change: an endpoint of a random Service is replaced by another. The old one has no connections, so its drain ends
// immediately.
recorder = record("change.bin");
const changes: Cost[] = [];
for (let change = 0; change < CHANGES; change += 1) {
  const index = (change * 7919) % services;
  changes.push(
    await measured(second, () => {
      state.apply({ kind: "slice-upserted", slice: slice(index, endpoints, 1 + (change % 15)) });
      advance(second);
    }),
  );
}
recorder?.close();
await kernel.close();

globalThis.gc?.();
process.stdout.write(
  `${JSON.stringify({
    services,
    endpoints,
    held: second.reconciler.state().actual,
    cold,
    warm,
    change: {
      ms: distribution(changes.map(({ ms }) => ms)),
      operations: distribution(changes.map(({ operations }) => operations)),
      sends: distribution(changes.map(({ sends }) => sends)),
      refused: changes.reduce((sum, { refused }) => sum + refused, 0),
    },
    peakRssMiB: process.resourceUsage().maxRSS / 1024,
    rssMiB: process.memoryUsage.rss() / 2 ** 20,
    heapMiB: process.memoryUsage().heapUsed / 2 ** 20,
  })}\n`,
);
