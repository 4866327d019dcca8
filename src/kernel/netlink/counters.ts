import type { Errno } from "../kernel.ts";

/** What went over all sockets that were given it since it was made: for the metrics. */
export class NetlinkCounters {
  /** System calls that sent something. */
  sends = 0;
  /** Requests in them: one for each kernel object that was written, and one for each that was read. */
  messages = 0;
  /** Refusals by the kernel and failures of a socket, by errno. */
  readonly errors = new Map<Errno, number>();

  countError(code: Errno): void {
    this.errors.set(code, (this.errors.get(code) ?? 0) + 1);
  }
}
