import type { Errno } from "../../model/kernel/errno.ts";

/** Counts the traffic of all sockets that share this object, for the metrics. */
export class NetlinkCounters {
  /** System calls that sent a datagram. */
  sends = 0;
  /** Requests in these datagrams: one for each kernel object written or read. */
  messages = 0;
  /** Refusals by the kernel and failures of a socket, by errno. */
  readonly errors = new Map<Errno, number>();

  countError(code: Errno): void {
    this.errors.set(code, (this.errors.get(code) ?? 0) + 1);
  }
}
