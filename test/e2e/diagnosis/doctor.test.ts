import { afterAll, beforeAll, expect, test } from "vitest";
import { AgentProcess, flagsFor, kubeIpvs, ManifestFolder } from "../../support/node/agent-process.ts";
import { TestNode } from "../../support/node/netns.ts";
import { serviceObject, sliceObject } from "../../support/objects/builders.ts";
import { IN_VAIN } from "../../support/traffic/answers.ts";

/** What is wrong with a node, found by `doctor` after the agent has prepared it and others have broken it. */
let node: TestNode;
let manifests: ManifestFolder;

beforeAll(async () => {
  node = await TestNode.create({ pods: ["a"] });
  manifests = await ManifestFolder.create();
  await manifests.put("shop.json", [
    serviceObject("shop/web", { ip: "10.96.0.1" }),
    sliceObject("shop/web-1", { endpoints: [node.pod("a").ip] }),
  ]);
  await using agent = AgentProcess.start(node, manifests);
  await agent.ready();
});

afterAll(async () => {
  await node?.[Symbol.asyncDispose]();
  await manifests?.[Symbol.asyncDispose]();
});

interface Report {
  readonly findings: readonly { readonly severity: string; readonly what: string; readonly cure: string }[];
}

async function doctor(): Promise<{ readonly code: number | null; readonly whats: readonly string[] }> {
  const { code, out, err } = await kubeIpvs(node, "doctor", "-o", "json", ...flagsFor(node, manifests));
  expect(err).toBe("");
  const { findings }: Report = JSON.parse(out);
  return { code, whats: findings.map(({ severity, what }) => `${severity}: ${what}`) };
}

/** A server with metrics of another program at the port of ours. */
const OTHER_METRICS = `$s = IO::Socket::INET->new(LocalAddr => "127.0.0.1:10249", Listen => 5, ReuseAddr => 1) or die;
  while ($c = $s->accept) { sysread($c, $_, 4096); print $c "HTTP/1.0 200 OK\\r\\n\\r\\nother_total 1\\n"; close $c }`;

/** Of the machine on which the test runs, and not of the node. */
const known = (what: string) => !/ip_local_port_range|NetworkManager|systemd-network|conntrack has/.test(what);

test("a node that the agent has prepared has no error, and each thing that others break is named with its cure", async () => {
  const before = await doctor();
  expect(before.whats.filter((what) => what.startsWith("error"))).toEqual([]);
  expect(before.whats.filter(known).filter((what) => what.startsWith("warning"))).toEqual([]);

  await node.prints("sysctl -qw net.ipv4.vs.conntrack=0 net.ipv4.conf.all.rp_filter=1; ip link del kube-ipvs0");
  await node.prints("iptables -I INPUT 1 -p tcp -m tcp --dport 81 -j DROP");
  await node.client(node.outside).tcp(node.node.ip, 81, 1, IN_VAIN);
  await node.prints(
    "cp $(command -v sleep) /run/kube-proxy; /run/kube-proxy 600 >/dev/null 2>&1 & echo $! >/run/kube-proxy.pid",
  );
  await node.prints(`perl -MIO::Socket -e '${OTHER_METRICS}' >/dev/null 2>&1 & echo $! >/run/other-metrics.pid`);
  try {
    const { code, whats } = await doctor();
    expect(code).toBe(2);
    expect(whats).toEqual(
      expect.arrayContaining([
        "error: net/ipv4/vs/conntrack is 0 and should be 1",
        expect.stringMatching(/^error: another service proxy runs on this node: kube-proxy \(process \d+\)$/),
        expect.stringMatching(/^warning: .*kube-ipvs0/),
        expect.stringMatching(
          /^(info|warning): rp_filter is 1 \(strict\) on .*, and the filter has dropped \d+ packets/,
        ),
        expect.stringMatching(
          /^warning: perl \(process \d+\) listens at 127.0.0.1:10249, the address of the agent's metrics server$/,
        ),
        expect.stringMatching(
          /^warning: other programs drop or reject packets of IPv4: .*rule 1 of filter\/INPUT "-p tcp -m tcp --dport 81 -j DROP" \([1-9]\d* packets?\)/,
        ),
      ]),
    );
    const text = await kubeIpvs(node, "doctor", ...flagsFor(node, manifests));
    expect(text.out).toContain("    do:  Run on the host: sysctl -w net.ipv4.vs.conntrack=1.");
  } finally {
    await node.prints(
      "kill $(cat /run/kube-proxy.pid /run/other-metrics.pid); rm -f /run/kube-proxy /run/kube-proxy.pid /run/other-metrics.pid; iptables -D INPUT 1",
    );
  }
});
