import { basename } from "node:path";

/**
 * Seconds that the suites on a real kernel took in a guest that had a CPU to itself, by the names of their files. They decide how
 * even the jobs of a run are, not what is run.
 */
const SECONDS: Readonly<Record<string, number>> = {
  "addresses.test.ts": 14,
  "api-restarts.test.ts": 21,
  "api-server.test.ts": 61,
  "bench.test.ts": 40,
  "choices.test.ts": 18,
  "clock.test.ts": 14,
  "conntrack.test.ts": 24,
  "container.test.ts": 20,
  "contract.test.ts": 20,
  "daemonset.test.ts": 45,
  "dashboard.test.ts": 60,
  "early-client.test.ts": 17,
  "endpoint-slices.test.ts": 21,
  "explain.test.ts": 30,
  "exposure.test.ts": 34,
  "flows.test.ts": 39,
  "flush.test.ts": 45,
  "from-iptables-mode.test.ts": 30,
  "health-check-ports.test.ts": 13,
  "host-firewalls.test.ts": 50,
  "keepalived.test.ts": 35,
  "kill.test.ts": 73,
  "kube-router.test.ts": 34,
  "l2-announcers.test.ts": 15,
  "load-balancer.test.ts": 58,
  "local-mode.test.ts": 34,
  "moving-addresses.test.ts": 50,
  "netlink.real.test.ts": 17,
  "networking.test.ts": 27,
  "nftables-mode.test.ts": 8,
  "node-local-dns.test.ts": 34,
  "other-namespace.test.ts": 20,
  "other-proxies.test.ts": 50,
  "pod-networks.test.ts": 100,
  "process.test.ts": 45,
  "prometheus.test.ts": 25,
  "refused-operations.test.ts": 40,
  "repairs.test.ts": 45,
  "rolling-update.test.ts": 35,
  "rules-held-up.test.ts": 28,
  "rules.real.test.ts": 11,
  "scenarios.test.ts": 15,
  "sctp.test.ts": 5,
  "secure-metrics.test.ts": 25,
  "services.test.ts": 37,
  "shipped-image.test.ts": 25,
  "sync.test.ts": 43,
  "takeover-connections.test.ts": 15,
  "takeover-load.test.ts": 40,
  "takeover-many.test.ts": 30,
  "takeover.test.ts": 20,
  "topology.test.ts": 42,
  "trace.test.ts": 25,
  "traffic-policy.test.ts": 54,
  "traffic.test.ts": 7,
  "witnesses.test.ts": 24,
};
const UNKNOWN = 20;

/** The seconds that a test file takes. */
export function secondsOf(file: string): number {
  return SECONDS[basename(file)] ?? UNKNOWN;
}
