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

/** Mean of the pause between two changes; pauses are evenly distributed from 0 to twice this value. */
const MEAN_PAUSE_MS = 50;
const GIVE_UP_MS = 60_000;
/** Number of missing changes that are read at a time: reading hundreds would take CPU from the agent. */
const READ_AT_A_TIME = 4;

/** A change that the server has sent and that the kernel does not have yet. */
interface Awaited {
  readonly server: VirtualServerKey;
  readonly real: RealServerKey;
  readonly toldAtMs: number;
}

/** The changes to make: their number and the number of the first; each is of another Service, in random order. */
export interface Changes {
  readonly services: number;
  readonly first: number;
  readonly count: number;
}

/**
 * Makes changes at the server and returns for each how many ms later the kernel has the new endpoint. The changes do
 * not wait for each other: a delayed change may delay those after it, and all count. The kernel is read about once a
 * millisecond for the oldest missing changes; a change that is detected late counts as late.
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
      awaited = [...awaited, makeChange(model, services, next)];
      next++;
      nextAtMs += 2 * MEAN_PAUSE_MS * Math.random();
    }
    if (awaited.length > 0) {
      const still = await missing(kernel, awaited);
      const nowMs = performance.now();
      for (const change of awaited) if (!still.includes(change)) samples.push(nowMs - change.toldAtMs);
      awaited = still;
      const late = awaited.find(({ toldAtMs }) => nowMs - toldAtMs > GIVE_UP_MS);
      if (late !== undefined) throw new Error(`${late.real} is missing in ${late.server}`);
    }
    await sleep(1);
  }
  return samples;
}

/** Gives a Service a first endpoint that it did not have before. */
function makeChange(model: ClusterModel, services: number, change: number): Awaited {
  const index = (change * 7919) % services;
  const generation = 1 + (Math.floor(change / services) % 15);
  const [service, pod] = [clusterIPOf(index), endpointIPOf(index, 0, generation)].map(parseAddress);
  if (service === undefined || pod === undefined) throw new Error("a generated address is invalid");
  const toldAtMs = performance.now();
  model.change(index, generation, new Date().toISOString());
  return { server: virtualServerKey("TCP", service, 80), real: realServerKey(pod, 8080), toldAtMs };
}

/** Returns the changes that the kernel does not have, and those that were not read. */
async function missing(kernel: Pick<Kernel, "observe">, awaited: readonly Awaited[]): Promise<readonly Awaited[]> {
  const asked = awaited.slice(0, READ_AT_A_TIME);
  const { servers } = await kernel.observe(new Set(asked.map(({ server }) => server)));
  const isThere = ({ server, real }: Awaited) => servers.get(server)?.reals.has(real) === true;
  return [...asked.filter((change) => !isThere(change)), ...awaited.slice(READ_AT_A_TIME)];
}
