import { execFileSync } from "node:child_process";
import type { Running } from "../subjects/running.ts";
import { replaceEndpoint } from "./change.ts";
import { coldLimitMs, type Stage, sendSamples } from "./stage.ts";

/**
 * Starts the program before a kernel that has the whole cluster, but for one endpoint: from the start until that one is there.
 * Services may change in any order, so that three of them are changed.
 */
export async function startOnState(stage: Stage, scenario: string, firstChange: number): Promise<Running> {
  const { world, spec } = stage;
  const changed = [0, 1, 2].flatMap((change) => replaceEndpoint(world, firstChange + change));
  const startMs = performance.now();
  const running = await stage.start();
  const doneMs = await world.untilCoarse(changed, coldLimitMs(spec), () => running.check());
  const { cpuMs, peakRssMiB } = running.usage();
  sendSamples(
    spec,
    scenario,
    { metric: "three changes programmed", unit: "ms", samples: [doneMs - startMs] },
    { metric: "CPU until then", unit: "ms", samples: [cpuMs] },
    { metric: "peak RSS until then", unit: "MiB", samples: [peakRssMiB] },
  );
  return running;
}

/** Programs the state that another program has left in the kernel, from the files of `leaveState`. */
export function layOutLeftovers(folder: string): void {
  const script = [
    "ip link add kube-ipvs0 type dummy",
    `ip -batch ${folder}/addresses`,
    `ipvsadm -R <${folder}/servers`,
    `ipset restore -file ${folder}/sets`,
  ];
  execFileSync("sh", ["-c", script.join(" && ")], { stdio: ["ignore", "ignore", "inherit"] });
}
