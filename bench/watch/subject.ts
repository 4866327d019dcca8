import { Probe, type Sample } from "./probe.ts";

/** What a subject holds, counted after it has been measured. */
export interface Held {
  readonly services: number;
  readonly endpoints: number;
}

/** What a subject tells its parent, in this order. */
export type Told =
  | { readonly kind: "complete"; readonly ms: number; readonly before: Sample; readonly sample: Sample }
  | { readonly kind: "settled"; readonly sample: Sample; readonly held: Held };

/** Rest before what is then held counts as settled; V8 gives memory back when it has been idle for 8 s. */
const SETTLE_MS = 10_000;

/**
 * Measures `start`, which connects with the kubeconfig that is this process's argument, calls `complete` when it knows
 * the whole cluster and returns how to count it.
 */
export async function runSubject(
  start: (kubeconfig: string, complete: () => void) => Promise<() => Held>,
): Promise<void> {
  const probe = new Probe();
  const { promise: completed, resolve } = Promise.withResolvers<void>();
  probe.start(1);
  const before = probe.sample();
  probe.reset();
  const startedAtMs = performance.now();
  const count = await start(process.argv[2] ?? "", resolve);
  await completed;
  tell({ kind: "complete", ms: performance.now() - startedAtMs, before, sample: probe.sample() });
  setTimeout(() => {
    const sample = probe.sample();
    tell({ kind: "settled", sample, held: count() });
    process.exit();
  }, SETTLE_MS);
}

function tell(told: Told): void {
  process.stdout.write(`${JSON.stringify(told)}\n`);
}
