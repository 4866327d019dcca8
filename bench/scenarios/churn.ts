import type { Running } from "../subjects/running.ts";
import { applyLoad } from "../world/open-loop.ts";
import { replaceEndpoint } from "./change.ts";
import { type Stage, sendSamples } from "./stage.ts";

/** Changes that are observed, each second: reading all would take CPU from the proxy. */
const OBSERVED_A_SECOND = 20;
const MOST_AWAITED = 200;

/** One percent of all endpoints is replaced each second, each by a change of its own, up to a limit of changes. */
export async function churn({ world, spec }: Stage, running: Running): Promise<void> {
  const { services, endpoints } = spec.size;
  const wanted = (services * endpoints) / 100;
  const rate = Math.min(wanted, spec.churnLimit);
  const before = running.usage();
  const result = await applyLoad(world, {
    count: Math.max(10, Math.round(rate * spec.seconds)),
    meanPauseMs: 1000 / rate,
    mostAwaited: MOST_AWAITED,
    observeOneIn: Math.max(1, Math.round(rate / OBSERVED_A_SECOND)),
    change: (number) => replaceEndpoint(world, number),
    check: () => running.check(),
  });
  const { cpuMs, peakRssMiB } = running.usage();
  const limited = rate < wanted ? `, not the ${Math.round(wanted)} of 1 %` : "";
  const note = `${Number(result.rate.toPrecision(3))} changes a second${limited}, for ${Math.round(result.elapsedMs / 1000)} s`;
  sendSamples(
    spec,
    "churn",
    { metric: "API to kernel", unit: "ms", samples: result.latencies, as: "percentiles", note },
    { metric: "CPU, share of a core", unit: "%", samples: [((cpuMs - before.cpuMs) / result.elapsedMs) * 100], note },
    { metric: "peak RSS", unit: "MiB", samples: [peakRssMiB] },
  );
}
