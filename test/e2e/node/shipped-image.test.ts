import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { DaemonSetNode } from "../../support/container/daemonset.ts";
import { builtImage } from "../../support/container/image.ts";
import { serviceObject, sliceObject } from "../../support/objects/builders.ts";
import { eventually } from "../../support/time/eventually.ts";
import { patient } from "../../support/time/patience.ts";
import { allAnswered } from "../../support/traffic/answers.ts";

/** The image as it is shipped: both containers of the DaemonSet are started from it by crun, as containerd would, and serve. */
let daemonSet: DaemonSetNode;

vi.setConfig({ testTimeout: patient(120_000) });

beforeAll(async () => {
  daemonSet = await DaemonSetNode.create({ image: builtImage(), pods: ["a", "b", "shopper"] });
});

afterAll(() => daemonSet?.[Symbol.asyncDispose]());

/** A Service at all kinds of frontends, of both pods. */
function serve(...pods: readonly string[]): void {
  const { node } = daemonSet;
  daemonSet.put(
    serviceObject("shop/web", {
      ip: "10.96.7.1",
      ports: [{ port: 80, nodePort: 30_071 }],
      externalIPs: ["192.0.2.71"],
    }),
    sliceObject("shop/web-1", { endpoints: pods.map((pod) => node.pod(pod).ip) }),
  );
}

test("its init container prepares a node that lacks everything", async () => {
  const { node } = daemonSet;
  await node.prints("rmmod ip_vs_nq || true; echo 0 >/proc/sys/net/ipv4/vs/conntrack");
  const { code, out, err } = await daemonSet.init();
  expect([code, err]).toEqual([0, expect.not.stringContaining("modprobe")]);
  expect(out).toContain("set net/ipv4/vs/conntrack from 0 to 1");
});

test("its agent serves ClusterIPs, external addresses and NodePorts, and follows changes of endpoints", async () => {
  const { node } = daemonSet;
  serve("a", "b");
  await daemonSet.init();
  const { agent } = await daemonSet.start();
  onTestFinished(() => agent[Symbol.asyncDispose]());
  await agent.ready();
  const shopper = node.client(node.pod("shopper"));
  const outside = node.client(node.outside);
  for (const [client, address, port] of [
    [shopper, "10.96.7.1", 80],
    [shopper, "192.0.2.71", 80],
    [outside, node.node.ip, 30_071],
  ] as const)
    expect(await client.tcp(address, port, 4)).toEqual(allAnswered({ a: 2, b: 2 }));
  serve("b");
  await eventually(async () => expect((await shopper.tcp("10.96.7.1", 80, 2)).answers).toEqual({ b: 2 }), {
    withinMs: 40_000,
    everyMs: 200,
  });
  expect(await node.prints("iptables-save -t nat")).toContain("-A POSTROUTING");
});
