/**
 * Measures keepalived with the virtual servers of a cluster, in the network namespace of this process:
 * `node bench/stages/keepalived-stage.ts SPEC`, where SPEC is a StageSpec as JSON. Its start is measured, and its reload after
 * one real server is replaced by another in its configuration. Prints events.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { sizeText } from "../report/size.ts";
import { CHANGE_LIMIT_MS, coldLimitMs, type StageSpec, send, sendSamples } from "../scenarios/stage.ts";
import { keepalivedCommand, keepalivedConfiguration } from "../subjects/keepalived.ts";
import { Running } from "../subjects/running.ts";
import { World } from "../world/world.ts";

const RELOADS = 10;
const SLOW_MS = 5_000;

// The parent gives a spec that it has made itself.
const spec: StageSpec = JSON.parse(process.argv[2] ?? "");

function configure(world: World): void {
  const servers = Array.from(world.state.services(), (index) => world.expectationsOf(index)).flat();
  writeFileSync(join(world.folder, "keepalived.conf"), keepalivedConfiguration(servers));
}

async function measure(world: World, start: () => Promise<Running>): Promise<void> {
  configure(world);
  const startMs = performance.now();
  const running = await start();
  const check = () => running.check();
  const allMs = (await world.untilAll(coldLimitMs(spec), check)) - startMs;
  const used = running.usage();
  sendSamples(
    spec,
    "cold start",
    { metric: "all programmed", unit: "ms", samples: [allMs], note: "from a configuration file" },
    { metric: "CPU", unit: "ms", samples: [used.cpuMs] },
    { metric: "peak RSS", unit: "MiB", samples: [used.peakRssMiB] },
  );
  const samples: number[] = [];
  for (let reload = 0; reload < RELOADS; reload++) {
    const index = (reload * 7919) % world.size.services;
    const { added, removed } = world.state.replacePod(index);
    configure(world);
    const reloadMs = performance.now();
    running.signal("SIGHUP");
    const expected = world.expectationsOf(index, { present: [added], absent: [removed] });
    samples.push((await world.until(expected, CHANGE_LIMIT_MS, check)) - reloadMs);
    if ((samples.at(-1) ?? 0) > SLOW_MS && samples.length > 1) break;
  }
  const cpuMs = (running.usage().cpuMs - used.cpuMs) / samples.length;
  sendSamples(
    spec,
    "one endpoint changes",
    { metric: "API to kernel", unit: "ms", samples, as: "percentiles", note: "reload of a configuration file" },
    { metric: "CPU for each change", unit: "ms", samples: [cpuMs], note: "reload of a configuration file" },
  );
}

async function run(): Promise<void> {
  await using world = await World.start(spec.size, spec.subject);
  const started: Running[] = [];
  const start = async () => {
    const running = await Running.start(keepalivedCommand(world.folder), spec.logFile);
    started.push(running);
    return running;
  };
  try {
    await measure(world, start);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    send({ kind: "failed", subject: spec.subject.name, size: sizeText(spec.size), scenario: "keepalived", reason });
  } finally {
    for (const running of started) await running.stop();
  }
}

await run();
