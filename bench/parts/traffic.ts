/**
 * Measures the metrics of the traffic of Services on the real kernel, in a network namespace of its own:
 * `node bench/parts/traffic.ts FOLDER [SERVICES]`.
 *
 * Prints one line for each choice of --service-traffic-metrics: the time of a scrape, which reads all counters and writes the
 * text, the turns of the event loop during it, and how long one change of the kernel takes meanwhile.
 */
import { release } from "node:os";
import { setImmediate as nextTurn, setTimeout } from "node:timers/promises";
import { NetlinkKernel } from "../../src/kernel/netlink-kernel.ts";
import { type IPAddress, parseAddress } from "../../src/model/address.ts";
import type { ServicePortName } from "../../src/model/cluster/service.ts";
import { realServerKey, type Scheduler, type VirtualServerKey, virtualServer } from "../../src/model/kernel/ipvs.ts";
import type { Operation } from "../../src/model/kernel/operation.ts";
import { tuneHeap } from "../../src/process/heap.ts";
import { ServiceTraffic } from "../../src/serve/metrics/traffic/service-traffic.ts";
import { SILENT_LOGGER } from "../../test/support/api/worlds/silent-logger.ts";
import { distribution, short } from "../report/statistics.ts";
import { writePart } from "./write-part.ts";

tuneHeap();

const SCRAPES = 20;
/** About the time of a scrape in User Mode Linux. */
const IDLE_MS = 600;
const CHANGE_EVERY_MS = 10;
/** Longer than the pause between two readings. */
const STEP_MS = 10_000;
const [folder = ".", services = 10_000] = [process.argv[2], Number(process.argv[3] ?? 10_000)];

const address = (text: string): IPAddress => {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(`"${text}" is no address`);
  return parsed;
};
const serverOf = (index: number) =>
  virtualServer("TCP", address(`10.${96 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`), 80, {
    scheduler: "rr" as Scheduler,
  });
const pod = address("10.244.0.1");
const real = { key: realServerKey(pod, 8080), address: pod, port: 8080, weight: 1, forwarding: "masquerade" } as const;

const kernel = new NetlinkKernel({ chains: {} });
const owners = new Map<VirtualServerKey, ServicePortName>();
const operations: Operation[] = [];
for (let index = 1; index <= services; index++) {
  const server = serverOf(index);
  operations.push({ kind: "add-virtual-server", server }, { kind: "add-real-server", server, real });
  owners.set(server.key, { namespace: `team-${index % 50}`, service: `service-${index}`, port: "http" });
}
const refused = (await kernel.apply(operations)).filter(({ ok }) => !ok).length;
if (refused > 0) throw new Error(`${refused} operations were refused`);

/**
 * The turns of the event loop, and the changes. On a busy machine only the scrape that was disturbed least shows the longest turn.
 */
function timesOf(runs: readonly { readonly turns: readonly number[]; readonly changes: readonly number[] }[]) {
  const turns = distribution(runs.flatMap((run) => run.turns));
  const longest = Math.min(...runs.map((run) => distribution(run.turns).max));
  const changes = distribution(runs.flatMap((run) => run.changes));
  return [turns.p50, turns.p99, longest, changes.p50, changes.p99].map(short);
}

/** One change of the kernel, such as a sync of one endpoint makes. */
async function changeMs(turn: number): Promise<number> {
  const start = performance.now();
  await kernel.apply([{ kind: "update-real-server", server: serverOf(1), real: { ...real, weight: 1 + (turn % 9) } }]);
  return performance.now() - start;
}

/** Runs the work, and returns its time, the turns of the event loop, and the times of changes during the work. */
async function during(work: () => Promise<unknown>) {
  let isDone = false;
  const turns: number[] = [];
  const changes: number[] = [];
  const watch = async () => {
    for (let before = performance.now(); !isDone; ) {
      await nextTurn();
      const now = performance.now();
      turns.push(now - before);
      before = now;
    }
  };
  const change = async () => {
    for (; !isDone; await setTimeout(CHANGE_EVERY_MS)) changes.push(await changeMs(changes.length));
  };
  const start = performance.now();
  const others = [watch(), change()];
  await work();
  const ms = performance.now() - start;
  isDone = true;
  await Promise.all(others);
  return { ms, turns, changes };
}

const idle = [];
for (let turn = 0; turn < SCRAPES; turn++) idle.push(await during(() => setTimeout(IDLE_MS)));
const rows: (readonly string[])[] = [
  [`${services} Services`, "scrape min", "p50", "turn p50", "p99", "longest", "change p50", "p99", "text"],
  ["no scrape", "", "", ...timesOf(idle).map(String), ""],
];
for (const [name, limit] of [
  ["50", 50],
  ["1000", 1_000],
  ["all", Number.POSITIVE_INFINITY],
] as const) {
  let now = 0;
  let bytes = 0;
  const traffic = new ServiceTraffic(
    { limit, showsServers: true },
    {
      servers: function* () {
        for (const [key, port] of owners) yield { key, port };
      },
      read: (keys) => kernel.statistics(keys),
      clock: { now: () => now },
      logger: SILENT_LOGGER,
      nextTurn: () => nextTurn(),
      onRead: () => {},
    },
  );
  const runs = [];
  for (let scrape = 0; scrape < SCRAPES; scrape++) {
    now += STEP_MS;
    runs.push(
      await during(async () => {
        bytes = (await traffic.text()).length;
      }),
    );
  }
  const scrapes = distribution(runs.map(({ ms }) => ms));
  rows.push([
    name,
    `${short(Math.min(...runs.map(({ ms }) => ms)))}`,
    `${short(scrapes.p50)}`,
    ...timesOf(runs).map(String),
    `${Math.round(bytes / 1024)} KiB`,
  ]);
}
await kernel.close();
const text = `Linux ${release()}, Node.js ${process.version}, ${new Date().toISOString().slice(0, 10)}: \`npm run bench -- traffic\`, times in ms`;
writePart(folder, "traffic", { text, rows, figures: rows });
