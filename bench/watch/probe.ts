import { readFileSync } from "node:fs";

/** The resources that a process has used until now. */
export interface Sample {
  /** CPU of all threads. */
  readonly cpuMs: number;
  /** The longest time without a turn of the event loop, and the most CPU of the main thread within one turn. */
  readonly longestBlockMs: number;
  readonly longestBlockCpuMs: number;
  readonly rssMiB: number;
  readonly peakRssMiB: number;
  readonly heapMiB: number;
  readonly outsideHeapMiB: number;
}

const MICROS = 1000;
const MIB = 1 << 20;

/**
 * Measures its own process. A timer records its delay: for that time the event loop was blocked, by code of this
 * process or because other processes had the CPU; the latter does not count as CPU time.
 */
export class Probe {
  #longestBlockMs = 0;
  #longestBlockCpuMs = 0;
  #tickedAtMs = performance.now();
  #tickedAtCpuMs = threadCpuMs();
  #cpuFrom: NodeJS.CpuUsage = { user: 0, system: 0 };

  /** `everyMs` should be larger where system calls are slow: a timer of 1 ms would then add to the measured CPU. */
  start(everyMs: number): void {
    setInterval(() => this.#tick(), everyMs).unref();
  }

  /** Restarts the counts of CPU and blocks; before the first call, CPU counts from the start of the process. */
  reset(): void {
    this.#tick();
    this.#longestBlockMs = 0;
    this.#longestBlockCpuMs = 0;
    this.#cpuFrom = process.cpuUsage();
  }

  sample(): Sample {
    this.#tick();
    const { user, system } = process.cpuUsage(this.#cpuFrom);
    const { rss, heapUsed, external } = process.memoryUsage();
    return {
      cpuMs: (user + system) / MICROS,
      longestBlockMs: this.#longestBlockMs,
      longestBlockCpuMs: this.#longestBlockCpuMs,
      rssMiB: rss / MIB,
      peakRssMiB: peakRssMiB(),
      heapMiB: heapUsed / MIB,
      outsideHeapMiB: external / MIB,
    };
  }

  #tick(): void {
    const nowMs = performance.now();
    const nowCpuMs = threadCpuMs();
    this.#longestBlockMs = Math.max(this.#longestBlockMs, nowMs - this.#tickedAtMs);
    this.#longestBlockCpuMs = Math.max(this.#longestBlockCpuMs, nowCpuMs - this.#tickedAtCpuMs);
    this.#tickedAtMs = nowMs;
    this.#tickedAtCpuMs = nowCpuMs;
  }
}

function threadCpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / MICROS;
}

function peakRssMiB(): number {
  const kib = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  return Number(kib) / 1024;
}
