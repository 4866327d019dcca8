import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { type IPAddress, parseAddress } from "../../model/address.ts";
import type { Logger } from "../../model/logger.ts";
import { Backoff, type BackoffOptions } from "../../model/time/backoff.ts";
import type { Clock } from "../../model/time/clock.ts";
import type { VipBinding } from "../../model/vip-binding.ts";
import { PROTOCOL_NAME, RT_TABLE_LOCAL, RTPROT_KUBE_IPVS } from "../route/constants.ts";
import { MONITOR_COMMANDS } from "./monitor-process.ts";

/** An address that was added to an interface of this node or removed from it, or a route of the agent to an address. */
export interface AddressChange {
  readonly kind: "appeared" | "vanished";
  /** Name of the interface. */
  readonly link: string;
  /** Whether a route of the agent was added or removed, and no address. */
  readonly isRoute?: true;
  readonly address: IPAddress;
}

/**
 * Time after which a started program receives changes, even on a slow machine: it starts in 50 ms in a User Mode Linux
 * guest.
 */
const RECEIVES_AFTER_MS = 1_000;
const RESTARTS: BackoffOptions = { initialMs: 1_000, maxMs: 60_000, resetAfterMs: 60_000 };

export interface AddressMonitorOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onChange: (change: AddressChange) => void;
  /** Called if changes may be lost: the receiver must read the addresses. */
  readonly onGap: () => void;
  /** Starts the program with its output piped. */
  readonly start: () => ChildProcess;
  /** How VIPs are bound. */
  readonly binding: VipBinding;
}

/**
 * Reports addresses that are added to interfaces of this network namespace or removed from them, and with the binding
 * "route" also routes of the agent, until the signal aborts; never rejects. A program that ends is started again after a delay that doubles from a second to a minute.
 *
 * The program is `ip monitor`, a process of 2.5 MB, and not a socket of the agent: a few hundred changes at once
 * overrun the buffer of a socket, and then the netlink addon ends the process of the agent, while `ip` reports the loss
 * on stderr and continues.
 */
export async function monitorAddresses(options: AddressMonitorOptions, signal: AbortSignal): Promise<void> {
  const { binding, clock, logger } = options;
  const backoff = new Backoff(RESTARTS);
  while (!signal.aborted) {
    const reason = await runMonitor(options, signal);
    if (signal.aborted) return;
    const restartMs = backoff.next(clock.now());
    logger.warn(
      { command: MONITOR_COMMANDS[binding].join(" "), reason, restartMs },
      "address monitor ended, changes of addresses are not reported until it restarts",
    );
    await clock.sleep(restartMs, signal);
  }
}

/** Runs one program until it ends; resolves with the reason. */
async function runMonitor(options: AddressMonitorOptions, signal: AbortSignal): Promise<string> {
  const { clock, onChange, onGap, start } = options;
  const { promise: ended, resolve: end } = Promise.withResolvers<string>();
  const child = start();
  child.once("error", (error) => end(error.message));
  child.once("close", (code, killedBy) => end(`ended with ${killedBy ?? code}`));
  const over = new AbortController();
  const stop = () => child.kill();
  signal.addEventListener("abort", stop, { once: true });
  if (child.stdout !== null) {
    createInterface({ input: child.stdout }).on("line", (line) => {
      const change = parseMonitorLine(line);
      if (change === undefined) onGap();
      else if (change !== "other") onChange(change);
    });
  }
  // Any message on stderr may mean that changes are lost.
  child.stderr?.on("data", onGap);
  void clock.sleep(RECEIVES_AFTER_MS, over.signal).then(() => over.signal.aborted || onGap());
  const reason = await ended;
  over.abort();
  signal.removeEventListener("abort", stop);
  return reason;
}

/**
 * Reads a line of `ip -o monitor address route`: "other" for a route that is not the agent's, undefined if it describes
 * neither an address nor a route. A route of several lines is one line with `\\` for the ends.
 *
 *     90: kube-ipvs0    inet 10.96.0.1/32 scope global kube-ipvs0\       valid_lft forever preferred_lft forever
 *     Deleted 1: lo    inet6 fd00:9::2/64 scope global nodad \       valid_lft forever preferred_lft forever
 *     7: ppp0    inet 10.0.0.1 peer 10.0.0.2/32 scope global ppp0\       valid_lft forever preferred_lft forever
 *     local 10.96.0.1 dev lo table local proto 173 scope host metric 173
 *     Deleted local fd00:96::1 dev lo table local proto 173 metric 173 pref medium
 *     10.244.1.0/24 dev cni0 proto kernel scope link src 10.244.1.1
 */
export function parseMonitorLine(line: string): AddressChange | "other" | undefined {
  const route = OWN_ROUTE.exec(line);
  if (route !== null) return changeOf(route[1], "lo", route[2], true);
  if (ROUTE.test(line)) return "other";
  const [, deleted, link, text] = /^(Deleted )?\d+: (\S+)\s+inet6? ([0-9a-fA-F.:]+)/.exec(line) ?? [];
  return changeOf(deleted, link, text, false);
}

/** A route of type local of the agent; the names of the table and of the protocol are those of the host's files. */
const OWN_ROUTE = new RegExp(
  `^(Deleted )?local ([0-9a-fA-F.:]+) dev lo table (?:local|${RT_TABLE_LOCAL}) proto (?:${PROTOCOL_NAME}|${RTPROT_KUBE_IPVS}) `,
);

/** A line of a route begins with its type, or with its destination; that of an address with the index of an interface. */
const ROUTE =
  /^(?:Deleted )?(?!\d+: )(?:(?:unicast|local|broadcast|anycast|multicast|blackhole|unreachable|prohibit|throw) )?(?:default|[0-9a-fA-F]*[.:][0-9a-fA-F.:]*(?:\/\d+)?) /;

function changeOf(
  deleted: string | undefined,
  link: string | undefined,
  text: string | undefined,
  isRoute: boolean,
): AddressChange | undefined {
  const address = text === undefined ? undefined : parseAddress(text);
  if (link === undefined || address === undefined) return undefined;
  const kind = deleted === undefined ? "appeared" : "vanished";
  return { kind, link, address, ...(isRoute && { isRoute }) };
}
