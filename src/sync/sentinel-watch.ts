import type { VirtualServerKey } from "../model/kernel/ipvs.ts";
import { KernelError } from "../model/kernel/kernel-error.ts";
import type { Clock } from "../model/time/clock.ts";

/** The time between two probes. */
const PROBE_MS = 1_000;

export interface SentinelWatchDependencies {
  readonly clock: Clock;
  /** Returns the next virtual servers to look for, a few of those that should exist; none while the kernel is unknown. */
  readonly sentinels: () => ReadonlySet<VirtualServerKey>;
  /** Returns those of the virtual servers that exist. */
  readonly present: (keys: ReadonlySet<VirtualServerKey>) => Promise<ReadonlySet<VirtualServerKey>>;
  /** Called with sentinels that do not exist, and whether these are all. */
  readonly onMissing: (keys: readonly VirtualServerKey[], areAll: boolean) => void;
}

/**
 * Checks each second whether a few virtual servers still exist, until the signal aborts: IPVS reports no changes, and the
 * next resync may be half a minute away. A flush (`ipvsadm -C`, another proxy that ends) deletes all virtual servers of both
 * families, so any of them shows it; other deletions are found if they meet the sentinels, which change with each probe. A probe is
 * one request by name for each sentinel, which the kernel answers from its hash table (ip_vs_genl_get_cmd). IPVS has no
 * cheaper request that would notice: GET_INFO returns sizes of tables, and a count needs the whole list. A probe takes some 0.2 ms
 * in User Mode Linux, with 1,000 virtual servers as with 10,000 (`npm run bench -- sentinels`).
 */
export async function watchSentinels(
  { clock, sentinels, present, onMissing }: SentinelWatchDependencies,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    await clock.sleep(PROBE_MS, signal);
    if (signal.aborted) return;
    const keys = sentinels();
    if (keys.size === 0) continue;
    try {
      const found = await present(keys);
      const missing = [...keys].filter((key) => !found.has(key));
      if (missing.length > 0) onMissing(missing, found.size === 0);
    } catch (error) {
      // The next sync or resync reports a kernel that does not answer.
      if (!(error instanceof KernelError)) throw error;
    }
  }
}
