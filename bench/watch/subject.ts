import { Probe, type Sample } from "./probe.ts";

/** The objects of a subject, counted after the measurement. */
export interface ObjectCounts {
  readonly services: number;
  readonly endpoints: number;
}

/** The messages of a subject to its parent, in this order. */
export type Message =
  | { readonly kind: "complete"; readonly ms: number; readonly before: Sample; readonly sample: Sample }
  | { readonly kind: "settled"; readonly sample: Sample; readonly counts: ObjectCounts };

/** Pause before a sample counts as settled; V8 returns memory to the system after 8 s without work. */
const SETTLE_MS = 10_000;

/**
 * Measures `start`, which connects with the kubeconfig in the argument of this process, calls `complete` when it has
 * read the whole cluster, and returns a function that counts the objects.
 */
export async function runSubject(
  start: (kubeconfig: string, complete: () => void) => Promise<() => ObjectCounts>,
): Promise<void> {
  const probe = new Probe();
  const { promise: completed, resolve } = Promise.withResolvers<void>();
  probe.start(1);
  const before = probe.sample();
  probe.reset();
  const startedAtMs = performance.now();
  const count = await start(process.argv[2] ?? "", resolve);
  await completed;
  send({ kind: "complete", ms: performance.now() - startedAtMs, before, sample: probe.sample() });
  setTimeout(() => {
    const sample = probe.sample();
    send({ kind: "settled", sample, counts: count() });
    process.exit();
  }, SETTLE_MS);
}

function send(message: Message): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}
