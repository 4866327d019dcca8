import { Counter, type Registry } from "prom-client";
import type { Errno } from "../../model/kernel/errno.ts";

/** The netlink traffic since the start of the process. */
export interface NetlinkCounts {
  readonly sends: number;
  readonly messages: number;
  readonly errors: ReadonlyMap<Errno, number>;
}

/** The metrics of netlink. `netlink` is called at each scrape. */
export function netlinkMetrics(registers: Registry[], netlink: () => NetlinkCounts) {
  return {
    netlinkSends: new Counter({
      name: "kube_ipvs_netlink_sends_total",
      help: "System calls that sent netlink messages. Messages divided by sends is the mean batch size.",
      registers,
      collect() {
        this.reset();
        this.inc(netlink().sends);
      },
    }),
    netlinkMessages: new Counter({
      name: "kube_ipvs_netlink_messages_total",
      help: "Netlink messages sent.",
      registers,
      collect() {
        this.reset();
        this.inc(netlink().messages);
      },
    }),
    netlinkErrors: new Counter({
      name: "kube_ipvs_netlink_errors_total",
      help: "Errors in netlink responses by errno. Some errors are normal, for example EEXIST after a restart.",
      labelNames: ["errno"] as const,
      registers,
      collect() {
        this.reset();
        for (const [errno, count] of netlink().errors) this.inc({ errno: boundedErrno(errno) }, count);
      },
    }),
  };
}

/** The errno as a label. All numbers without a name ("E1234") become one value, to bound the number of labels. */
export function boundedErrno(errno: Errno): string {
  return /^(E[A-Z][A-Z0-9]*|IPSET_ERR_\w+)$/.test(errno) ? errno : "other";
}
