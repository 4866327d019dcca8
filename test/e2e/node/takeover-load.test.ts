import { afterAll, expect, test } from "vitest";
import { AgentProcess, flagsFor, kubeIpvs, ManifestFolder } from "../../support/node/agent-process.ts";
import { KubeProxyNode } from "../../support/node/kube-proxy-node.ts";
import { TestNode } from "../../support/node/netns.ts";
import {
  NODE_PORTS_AT,
  NodeLoad,
  SCTP_PORTS,
  TAKEN_OVER_PODS,
  TAKEN_OVER_PORTS,
} from "../../support/node/node-load.ts";
import { patient } from "../../support/time/patience.ts";
import { canSpeakSCTP, unloadSCTP } from "../../support/traffic/sctp.ts";

/** A node is taken over from a kube-proxy, and given back, while its Services are in use. */

const sctp = canSpeakSCTP();
afterAll(unloadSCTP);

test("a takeover and a rollback under load lose no request and no connection, and kube-proxy finds its own state", {
  timeout: patient(150_000),
}, async () => {
  const ports = [...TAKEN_OVER_PORTS, ...(sctp ? SCTP_PORTS : [])];
  await using node = await TestNode.create({ pods: TAKEN_OVER_PODS, ports });
  await using manifests = await ManifestFolder.create();
  const kubeProxy = new KubeProxyNode(node);
  await kubeProxy.layOut();
  await kubeProxy.putObjects(manifests);
  const left = await kubeProxy.state();
  const load = await NodeLoad.begin(node, { added: true, sctp });

  const takenOver = await (async () => {
    await using agent = AgentProcess.start(node, manifests, ...NODE_PORTS_AT);
    await agent.ready();
    return await kubeProxy.state();
  })();
  // All that was there is still there: the agent only adds.
  expect(takenOver.servers).toEqual(expect.arrayContaining([...left.servers]));

  const rollback = ["rollback", ...flagsFor(node, manifests), ...NODE_PORTS_AT];
  const first = await kubeIpvs(node, ...rollback);
  expect(first).toMatchObject({ code: 0, err: "" });
  expect(first.out).toContain('deleted virtual server "FWM/IPv4/');
  expect(first.out).toContain('destroyed set "KUBE-LOCAL-MARK"');
  const rolledBack = await kubeProxy.state();
  expect(matching(rolledBack.sets, /^create /)).toEqual(matching(left.sets, /^create /));
  expect(rolledBack.servers).toEqual(left.servers);
  expect(matching(rolledBack.rules, /^:/)).toEqual(matching(left.rules, /^:/));
  expect(await kubeIpvs(node, ...rollback)).toMatchObject({ code: 0, out: "nothing to remove\n", err: "" });

  await kubeProxy.firstSync();
  const seen = await load.stop();
  expect(await kubeProxy.state()).toEqual(left);
  expect(seen.map(({ failures, resent }) => ({ failures, resent }))).toEqual(
    seen.map(() => ({ failures: [], resent: 0 })),
  );
  expectMasqueraded(node, seen[0]?.clients ?? {});
  for (const { count, kept } of seen) expect(Math.min(count, kept)).toBeGreaterThan(0);
});

function matching(lines: readonly string[], pattern: RegExp): readonly string[] {
  return lines.filter((line) => pattern.test(line));
}

/** Every request from outside was masqueraded, but those to Services whose clients keep their address. */
function expectMasqueraded({ gateway, outside }: TestNode, clients: Readonly<Record<string, object>>): void {
  for (const [frontend, seenAs] of Object.entries(clients)) {
    const masqueraded = frontend.split(",")[1]?.includes(":") === true ? gateway.ip6 : gateway.ip;
    // The recorded UDP Service has the policy Local.
    const expected = frontend.startsWith("udp") && !frontend.includes(":") ? outside.ip : masqueraded;
    expect({ frontend, seenAs: Object.keys(seenAs) }).toEqual({ frontend, seenAs: [expected] });
  }
}
