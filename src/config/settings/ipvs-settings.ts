import { parseDurationMs } from "../../model/time/duration.ts";
import { VIP_BINDINGS } from "../../model/vip-binding.ts";
import { oneOf, parseCidrs, parsePeriodMs, parseScheduler } from "../setting-values.ts";
import { AGENT, RULING, type Settings, WANTING } from "./setting.ts";

type Key =
  | "scheduler"
  | "syncPeriodMs"
  | "minSyncPeriodMs"
  | "drainTimeoutMs"
  | "excludeCidrs"
  | "sharedVips"
  | "vipBinding";

/** The settings of virtual servers and of the sync. */
export const IPVS_SETTINGS: Settings<Key> = {
  scheduler: {
    flag: "ipvs-scheduler",
    path: "ipvs.scheduler",
    type: "string",
    live: true,
    placeholder: "NAME",
    fallback: "rr",
    help: "IPVS scheduler: rr, wrr, lc, wlc, lblc, lblcr, sh, dh, sed, nq, fo, ovf or mh",
    commands: WANTING,
    parse: parseScheduler,
  },
  syncPeriodMs: {
    flag: "ipvs-sync-period",
    path: "ipvs.syncPeriod",
    type: "duration",
    zeroIsDefault: true,
    live: true,
    placeholder: "DURATION",
    fallback: "30s",
    help: "Time between two resyncs, which read and repair the kernel state. Longer while a resync takes more than 300 ms of CPU time, in proportion; the rules, sets, sysctls and interface are then checked alone in every period. The agent is unhealthy if work waits for twice this time",
    commands: AGENT,
    parse: parsePeriodMs,
  },
  minSyncPeriodMs: {
    flag: "ipvs-min-sync-period",
    path: "ipvs.minSyncPeriod",
    type: "duration",
    live: true,
    placeholder: "DURATION",
    fallback: "0s",
    help: "Shortest time between two syncs. 0s sets no limit, because the cost of a sync depends on the number of changes",
    commands: AGENT,
    parse: parseDurationMs,
  },
  drainTimeoutMs: {
    flag: "drain-timeout",
    path: "kubeIpvs.drainTimeout",
    type: "duration",
    live: true,
    placeholder: "DURATION",
    fallback: "15m",
    help: "Time for which a removed TCP endpoint may keep its established connections; 0s closes them at once",
    commands: AGENT,
    parse: parseDurationMs,
  },
  excludeCidrs: {
    flag: "ipvs-exclude-cidrs",
    path: "ipvs.excludeCIDRs",
    type: "strings",
    placeholder: "CIDR,...",
    fallback: "",
    help: "Networks of IPVS virtual servers that belong to other programs. kube-ipvs never changes them",
    commands: RULING,
    parse: parseCidrs,
  },
  sharedVips: {
    flag: "shared-vip-cidrs",
    path: "kubeIpvs.sharedVIPCIDRs",
    type: "strings",
    live: true,
    placeholder: "CIDR,...",
    fallback: "",
    help: "Networks of addresses that Services may use even if they are addresses of this node, for example with keepalived",
    commands: WANTING,
    parse: parseCidrs,
  },
  vipBinding: {
    flag: "vip-binding",
    path: "kubeIpvs.vipBinding",
    type: "string",
    placeholder: VIP_BINDINGS.join("|"),
    fallback: VIP_BINDINGS[0],
    help: "How the addresses of Services become addresses of the node: address adds them to kube-ipvs0, route adds local routes, which is faster above 10,000 addresses",
    commands: WANTING,
    parse: oneOf(...VIP_BINDINGS),
  },
};
