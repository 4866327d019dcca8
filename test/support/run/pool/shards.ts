import { basename } from "node:path";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * Seconds that the suites on a real kernel took on one CPU of a guest, by the names of their files. Only their shares
 * matter, and only to how even shards are: `--shard` leaves none out.
 */
const SECONDS: Readonly<Record<string, number>> = {
  "addresses.test.ts": 14,
  "api-restarts.test.ts": 21,
  "api-server.test.ts": 61,
  "choices.test.ts": 18,
  "clock.test.ts": 14,
  "conntrack.test.ts": 24,
  "daemonset.test.ts": 26,
  "early-client.test.ts": 17,
  "endpoint-slices.test.ts": 21,
  "exposure.test.ts": 34,
  "flows.test.ts": 39,
  "health-check-ports.test.ts": 13,
  "kill.test.ts": 73,
  "load-balancer.test.ts": 58,
  "local-mode.test.ts": 34,
  "moving-addresses.test.ts": 50,
  "netlink.real.test.ts": 17,
  "networking.test.ts": 27,
  "other-namespace.test.ts": 20,
  "process.test.ts": 45,
  "refused-operations.test.ts": 40,
  "rolling-update.test.ts": 35,
  "rules-held-up.test.ts": 28,
  "rules.real.test.ts": 11,
  "scenarios.test.ts": 15,
  "sctp.test.ts": 5,
  "services.test.ts": 37,
  "sync.test.ts": 43,
  "topology.test.ts": 42,
  "traffic-policy.test.ts": 54,
  "traffic.test.ts": 7,
  "witnesses.test.ts": 24,
};
const UNKNOWN = 20;

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
