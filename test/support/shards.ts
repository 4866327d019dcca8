import { basename } from "node:path";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * Seconds that the suites on a real kernel took on one CPU of a guest, by the names of their files. Only their shares
 * matter, and only to how even shards are: `--shard` leaves none out.
 */
const SECONDS: Readonly<Record<string, number>> = {
  "addresses.test.ts": 17,
  "api-restarts.test.ts": 25,
  "api-server.test.ts": 67,
  "choices.test.ts": 28,
  "conntrack.test.ts": 26,
  "daemonset.test.ts": 42,
  "endpoint-slices.test.ts": 28,
  "exposure.test.ts": 56,
  "flows.test.ts": 43,
  "health-check-ports.test.ts": 19,
  "kill.test.ts": 80,
  "load-balancer.test.ts": 79,
  "local-mode.test.ts": 40,
  "netlink.real.test.ts": 18,
  "networking.test.ts": 39,
  "rolling-update.test.ts": 30,
  "rules.real.test.ts": 15,
  "scenarios.test.ts": 16,
  "sctp.test.ts": 10,
  "services.test.ts": 44,
  "sync.test.ts": 60,
  "topology.test.ts": 46,
  "traffic-policy.test.ts": 64,
  "traffic.test.ts": 20,
  "witnesses.test.ts": 26,
};
const UNKNOWN = 30;

/** Deals files out to `count` shards: the longest first, each to the shard that has the least to do. */
export function evenShards<File>(
  files: readonly File[],
  count: number,
  secondsOf: (file: File) => number,
): readonly (readonly File[])[] {
  const shards = Array.from({ length: count }, () => ({ files: [] as File[], seconds: 0 }));
  for (const file of files.toSorted((a, b) => secondsOf(b) - secondsOf(a))) {
    const least = shards.reduce((best, shard) => (shard.seconds < best.seconds ? shard : best));
    least.files.push(file);
    least.seconds += secondsOf(file);
  }
  return shards.map((shard) => shard.files);
}

/** Makes vitest's shards take equally long; they have equally many files otherwise. */
export class EvenShards extends BaseSequencer {
  override async shard(files: readonly TestSpecification[]): Promise<TestSpecification[]> {
    const { index, count } = this.ctx.config.shard ?? { index: 1, count: 1 };
    // Every shard deals out for itself, so all must begin with the same order.
    const inOrder = files.toSorted((a, b) => (a.moduleId < b.moduleId ? -1 : 1));
    const shards = evenShards(inOrder, count, ({ moduleId }) => SECONDS[basename(moduleId)] ?? UNKNOWN);
    return [...(shards[index - 1] ?? [])];
  }
}
