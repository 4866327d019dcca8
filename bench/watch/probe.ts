import { readFileSync } from "node:fs";

/** What a process has cost so far. */
export interface Sample {
  /** Of all its threads. */
  readonly cpuMs: number;
  /** The longest time without a turn of the event loop, and the longest of the main thread's own CPU within one. */
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
 * Watches the process it runs in. A timer notes how late it comes: that much the event loop was kept from its work, be it by our code or because other processes had the CPU; the second never counts in the CPU time.
 */
export class Probe {
  #longestBlockMs = 0;
  #longestBlockCpuMs = 0;
  #tickedAtMs = performance.now();
  #tickedAtCpuMs = threadCpuMs();
  #cpuFrom: NodeJS.CpuUsage = { user: 0, system: 0 };

  /** Where system calls are slow a timer of 1 ms would be part of the cost. */
  start(everyMs: number): void {
    setInterval(() => this.#tick(), everyMs).unref();
  }

  /** Counts CPU and blocks from here on; before, CPU counts from the start of the process. */
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
