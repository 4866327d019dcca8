import { setTimeout as sleep } from "node:timers/promises";
import type { Running } from "../subjects/running.ts";
import { type Stage, sendSamples } from "./stage.ts";

/** V8 returns memory to the system after eight seconds without work. */
const SETTLE_MS = 10_000;

/** The CPU of a program without changes, with its periodic resyncs, and its memory at the end. */
export async function idle({ spec }: Stage, running: Running): Promise<void> {
  await sleep(SETTLE_MS);
  const before = running.usage();
  const startMs = performance.now();
  await sleep(spec.seconds * 1000);
  const after = running.usage();
  const share = (after.cpuMs - before.cpuMs) / (performance.now() - startMs);
  sendSamples(
    spec,
    "idle",
    { metric: "CPU, share of a core", unit: "%", samples: [share * 100], note: `for ${spec.seconds} s` },
    { metric: "RSS", unit: "MiB", samples: [after.rssMiB] },
    { metric: "peak RSS", unit: "MiB", samples: [after.peakRssMiB] },
  );
}
