import type { Running } from "../subjects/running.ts";
import { randomSample } from "../world/world.ts";
import { CHANGE_LIMIT_MS, type Stage, sendSamples } from "./stage.ts";

const DRAINS = 3;
/** Services that are observed in each drain, and the last one that changed. */
const OBSERVED = 50;

/** All endpoints of a node leave, each Service by a change of its own; from the first change until none of them serves. */
export async function drainNode({ world, spec }: Stage, running: Running): Promise<void> {
  const samples: number[] = [];
  let pods = 0;
  for (let drain = 0; drain < DRAINS; drain++) {
    const affected = world.state.onNode(drain);
    // A cluster of few pods has one node.
    if (affected.size === 0) break;
    const before = new Map([...affected].map(([index]) => [index, world.state.podsOf(index)]));
    const startMs = performance.now();
    for (const [index, leaving] of affected) {
      world.state.setPods(
        index,
        world.state.podsOf(index).filter((pod) => !leaving.includes(pod)),
      );
      pods += leaving.length;
    }
    const watched = [...randomSample([...affected], OBSERVED), ...[...affected].slice(-1)];
    const expected = watched.flatMap(([index, absent]) => world.expectationsOf(index, { present: [], absent }));
    samples.push((await world.until(expected, CHANGE_LIMIT_MS, () => running.check())) - startMs);
    for (const [index, list] of before) world.state.setPods(index, list);
    const restored = watched.flatMap(([index]) => world.expectationsOf(index));
    await world.until(restored, CHANGE_LIMIT_MS, () => running.check());
  }
  if (samples.length === 0) return;
  const note = `${Math.round(pods / samples.length)} endpoints`;
  sendSamples(spec, "node drain", { metric: "first change to all gone", unit: "ms", samples, note });
}
