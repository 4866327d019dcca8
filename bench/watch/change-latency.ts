import { setTimeout as sleep } from "node:timers/promises";
import type { Kernel } from "../../src/kernel/kernel.ts";
import { parseAddress } from "../../src/model/address.ts";
import {
  type RealServerKey,
  realServerKey,
  type VirtualServerKey,
  virtualServerKey,
} from "../../src/model/kernel/ipvs.ts";
import type { ClusterModel } from "../api/cluster-model.ts";
import { clusterIPOf, endpointIPOf } from "../api/cluster-objects.ts";

/** Evenly distributed from none to twice this. */
const MEAN_PAUSE_MS = 50;
const GIVE_UP_MS = 60_000;
/** Looking for each of hundreds would take the CPU from the agent that they wait for. */
const LOOKED_FOR = 4;

/** A change that the server has told and the kernel does not show yet. */
interface Awaited {
  readonly server: VirtualServerKey;
  readonly real: RealServerKey;
  readonly toldAtMs: number;
}

/** Which changes to make: so many from this number on, of Services in no order, none of them twice. */
export interface Changes {
  readonly services: number;
  readonly first: number;
  readonly count: number;
}

/**
 * Makes changes at the server and says of each how many ms later the kernel has the new endpoint. They come when they come,
 * whether or not those before have arrived: one that is held up holds up those after it, and all of them count. The
 * kernel is looked at about once a millisecond, for the oldest of those that are missing; what is seen late counts as late.
 */
export async function changeLatencies(
  model: ClusterModel,
  kernel: Pick<Kernel, "observe">,
  { services, first, count }: Changes,
): Promise<readonly number[]> {
  const samples: number[] = [];
  let awaited: readonly Awaited[] = [];
  let next = first;
  let nextAtMs = performance.now();
  while (samples.length < count) {
    if (next < first + count && performance.now() >= nextAtMs) {
      awaited = [...awaited, tellChange(model, services, next)];
      next++;
      nextAtMs += 2 * MEAN_PAUSE_MS * Math.random();
    }
    if (awaited.length > 0) {
      const still = await notThere(kernel, awaited);
      const nowMs = performance.now();
      for (const change of awaited) if (!still.includes(change)) samples.push(nowMs - change.toldAtMs);
      awaited = still;
      const late = awaited.find(({ toldAtMs }) => nowMs - toldAtMs > GIVE_UP_MS);
      if (late !== undefined) throw new Error(`${late.real} does not come to ${late.server}`);
    }
    await sleep(1);
  }
  return samples;
}

/** Gives a Service another first endpoint, which it never had. */
function tellChange(model: ClusterModel, services: number, change: number): Awaited {
  const index = (change * 7919) % services;
  const generation = 1 + (Math.floor(change / services) % 15);
  const [service, pod] = [clusterIPOf(index), endpointIPOf(index, 0, generation)].map(parseAddress);
  if (service === undefined || pod === undefined) throw new Error("an address that is none");
  const toldAtMs = performance.now();
  model.change(index, generation, new Date().toISOString());
  return { server: virtualServerKey("TCP", service, 80), real: realServerKey(pod, 8080), toldAtMs };
}

/** Those of them that the kernel does not show, or was not asked for. */
async function notThere(kernel: Pick<Kernel, "observe">, awaited: readonly Awaited[]): Promise<readonly Awaited[]> {
  const asked = awaited.slice(0, LOOKED_FOR);
  const { servers } = await kernel.observe(new Set(asked.map(({ server }) => server)));
  const isThere = ({ server, real }: Awaited) => servers.get(server)?.reals.has(real) === true;
  return [...asked.filter((change) => !isThere(change)), ...awaited.slice(LOOKED_FOR)];
}
