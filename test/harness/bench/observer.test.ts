import { expect, test } from "vitest";
import { DetectingObserver } from "../../../bench/observer/detecting-observer.ts";
import type { Expectation, ModeObserver } from "../../../bench/observer/observer.ts";
import { meets, readIptables, readNftables } from "../../../bench/observer/rule-text.ts";

/** As kube-proxy 1.36 writes them. */
const IPTABLES = `*nat
:KUBE-SERVICES - [0:0]
-A KUBE-SERVICES -d 10.96.0.1/32 -p tcp -m comment --comment "default/kubernetes:https cluster IP" -m tcp --dport 443 -j KUBE-SVC-NPX46M4PTMTKRN6Y
-A KUBE-SERVICES -d 10.96.0.9/32 -p udp -m comment --comment "a/b:dns cluster IP" -m udp --dport 53 -j KUBE-SVC-TCOU7JCQXEZGVUNU
-A KUBE-SEP-AAAA -p tcp -m comment --comment "default/kubernetes:https" -m tcp -j DNAT --to-destination 192.168.1.2:6443
COMMIT
`;
const NFTABLES = `table ip kube-proxy {
  map service-ips {
    type ipv4_addr . inet_proto . inet_service : verdict
    elements = { 10.96.0.1 . tcp . 443 : goto service-2QRHZV4L-default/kubernetes/tcp/https,
                 10.96.0.9 . udp . 53 : goto service-NWBZK7IH-a/b/udp/dns }
  }
  chain endpoint-5OJB2KTY-default/kubernetes/tcp/https__192.168.1.2/6443 {
    meta l4proto tcp dnat to 192.168.1.2:6443
  }
}
`;

const KUBERNETES: Expectation = {
  ...{ protocol: "TCP", address: "10.96.0.1", port: 443, served: true },
  ...{ present: ["192.168.1.2:6443"], absent: ["192.168.1.3:6443"] },
};

test.each([
  ["iptables", readIptables(IPTABLES)],
  ["nftables", readNftables(NFTABLES)],
] as const)("rules of kube-proxy's %s mode are read", (_, rules) => {
  expect([...rules.services]).toEqual(["tcp 10.96.0.1 443", "udp 10.96.0.9 53"]);
  expect([...rules.endpoints]).toEqual(["192.168.1.2:6443"]);
  expect(meets(rules, KUBERNETES)).toBe(true);
  expect(meets(rules, { ...KUBERNETES, present: ["192.168.1.3:6443"], absent: [] })).toBe(false);
  expect(meets(rules, { ...KUBERNETES, absent: ["192.168.1.2:6443"] })).toBe(false);
  expect(meets(rules, { ...KUBERNETES, served: false, present: [], absent: [] })).toBe(false);
  expect(meets(rules, { ...KUBERNETES, port: 80, served: false, present: [], absent: [] })).toBe(true);
});

class Held implements ModeObserver {
  readonly pauseMs = 1;
  readonly countsOnce = false;
  readonly mode: ModeObserver["mode"];
  isProgrammed = false;
  polls = 0;

  constructor(mode: ModeObserver["mode"]) {
    this.mode = mode;
  }

  async holds(expectations: readonly Expectation[]): Promise<readonly boolean[]> {
    this.polls++;
    return expectations.map(({ served }) => served === this.isProgrammed);
  }

  async counts() {
    return { servers: this.isProgrammed ? 1 : 0, endpoints: 0 };
  }

  async close(): Promise<void> {}
}

test("the mode of a proxy is the first in which a Service appears, and then only that one is read", async () => {
  const [ipvs, nftables] = [new Held("ipvs"), new Held("nftables")];
  const observer = new DetectingObserver([ipvs, nftables]);
  expect(await observer.holds([{ ...KUBERNETES, served: false }])).toEqual([false]);
  expect(observer.mode).toBeUndefined();
  nftables.isProgrammed = true;
  expect(await observer.holds([KUBERNETES])).toEqual([true]);
  expect(observer.mode).toBe("nftables");
  const polls = ipvs.polls;
  expect(await observer.holds([KUBERNETES])).toEqual([true]);
  expect(ipvs.polls).toBe(polls);
  expect(await observer.counts()).toEqual({ servers: 1, endpoints: 0 });
});
