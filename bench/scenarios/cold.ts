import type { Running } from "../subjects/running.ts";
import { coldLimitMs, type Stage, sendSamples } from "./stage.ts";

/** Starts the program before an empty kernel, and waits until the kernel has the whole cluster. */
export async function coldStart(stage: Stage): Promise<Running> {
  const { world, spec } = stage;
  const limitMs = coldLimitMs(spec);
  const startMs = performance.now();
  const running = await stage.start();
  const check = () => running.check();
  const essential = world.essential.flatMap((index) => world.expectationsOf(index));
  if (essential.length > 0) {
    const essentialMs = await world.untilCoarse(essential, limitMs, check);
    sendSamples(spec, "cold start", {
      metric: "default/kubernetes and kube-dns served",
      unit: "ms",
      samples: [essentialMs - startMs],
    });
  }
  const allMs = await world.untilAll(limitMs, check);
  const { cpuMs, peakRssMiB } = running.usage();
  sendSamples(
    spec,
    "cold start",
    { metric: "all programmed", unit: "ms", samples: [allMs - startMs] },
    { metric: "CPU", unit: "ms", samples: [cpuMs] },
    { metric: "peak RSS", unit: "MiB", samples: [peakRssMiB] },
  );
  return running;
}
