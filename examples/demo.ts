/**
 * `npm run demo`: the Services of examples/shop on a real IPVS kernel. Needs root in namespaces of its own, which
 * test/support/run.sh finds. Exit code 0 when everything was as expected, else 1.
 */
import { cp, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ended } from "../test/support/node/namespace.ts";
import { TestNode } from "../test/support/node/netns.ts";
import { patient } from "../test/support/time/patience.ts";
import { LongClient } from "../test/support/traffic/client.ts";
import { metrics, ready, startAgent, until } from "./agent.ts";
import {
  answersText,
  type Expectations,
  expectThat,
  heading,
  indent,
  milliseconds,
  seconds,
  serverRows,
  servicePortNames,
  table,
} from "./report.ts";
import { make, makeRejected, visits } from "./visits.ts";

const SHOP = join(import.meta.dirname, "shop");
const FOLLOW_WITHIN_MS = patient(30_000);

/** In the order of their addresses, of which the first ends in .10 and ::10. The last one only shops. */
const PODS = [
  ...["storefront-1", "storefront-2", "cart-1", "cart-2", "cart-3", "catalog-1", "catalog-2", "payments-1"],
  ...["payments-2", "dns-1", "dns-2", "search-1", "search-2", "recommendations-1", "recommendations-2", "orders-1"],
  "shopper",
];
const PORTS = ["tcp:8080", "tcp:8081", "tcp:8443", "tcp:9090", "tcp:9102", "tcp:9153", "tcp:5353", "udp:5353"];

const expectations: Expectations = { passed: 0, failed: 0 };

async function main(): Promise<void> {
  heading("A node with pods and a host outside, as network namespaces");
  await using node = await TestNode.create({ number: 1, pods: PODS, ports: PORTS });
  const [shopper, outside] = [node.pod("shopper"), node.outside];
  console.log(`  ${node.name}: ${node.node.ip}, ${node.node.ip6}; ${PODS.length} pods, the last is ${shopper.ip}`);
  console.log(`  outside: ${outside.ip}, ${outside.ip6}`);

  const manifests = await mkdtemp("/run/kube-ipvs-shop-");
  await cp(SHOP, manifests, { recursive: true });

  heading("The agent on the manifests of examples/shop");
  const startedAtMs = performance.now();
  const agent = startAgent(node, manifests);
  await ready(node, agent);
  const first = (await metrics(node)).sum("kube_ipvs_sync_duration_seconds_sum");
  console.log(`  ready after ${seconds(performance.now() - startedAtMs)}; its first sync took ${milliseconds(first)}`);

  heading("Services, virtual servers and real servers, as ipvsadm sees them");
  await showServers(node, manifests);

  heading("Requests");
  for (const visit of visits(node)) await make(node, visit, expectations);
  const rejected = [
    { claim: "a Service without endpoints rejects at once", address: "10.96.0.90", port: 80 },
    { claim: "a port that no Service has is rejected", address: "10.96.0.20", port: 81 },
  ];
  for (const visit of rejected) await makeRejected(node, { from: shopper, ...visit }, expectations);

  heading("An endpoint changes: cart-3 replaces pod cart-2");
  await changeEndpoint(node, manifests);
  await showServers(node, manifests, "shop/cart");

  heading("Syncs, as the agent counts them");
  await showSyncs(node);

  heading("ipvsadm -Ln");
  console.log(indent(await node.prints("ipvsadm", "-Ln")));

  await ended(agent);
  const survivors = (await node.prints("ipvsadm", "-Sn")).includes("10.96.0.20:80");
  expectThat(expectations, "the agent ends, the kernel still serves", agent.exitCode === 0 && survivors, "");
  await rm(manifests, { recursive: true });
}

/** Open connections must stay open, running requests must be answered, and new connections must reach the new pod. */
async function changeEndpoint(node: TestNode, manifests: string): Promise<void> {
  const shopper = node.pod("shopper");
  const open = await Promise.all([1, 2].map(() => LongClient.hold(shopper.namespace, "10.96.0.20", 80)));
  const loop = await LongClient.loop(shopper.namespace, "10.96.0.20", 80, { rate: 50 });
  const file = join(manifests, "cart.yaml");
  const text = (await readFile(file, "utf8")).replace(node.pod("cart-2").ip, node.pod("cart-3").ip);
  const before = await metrics(node);
  await writeFile(`${file}.new`, text);
  const changedAtMs = performance.now();
  await rename(`${file}.new`, file);
  await until("traffic follows the change", FOLLOW_WITHIN_MS, async () => {
    const { answers } = await node.client(shopper).tcp("10.96.0.20", 80, 6);
    return "cart-3" in answers && !("cart-2" in answers);
  });
  const operations = (await metrics(node)).sum("kube_ipvs_operations_total") - before.sum("kube_ipvs_operations_total");
  console.log(`  seen by a pod after ${seconds(performance.now() - changedAtMs)}; ${operations} kernel operations`);
  const visit = { from: shopper, seenAs: shopper.ip, address: "10.96.0.20", port: 80 };
  const claim = "new connections reach the new pod";
  await make(node, { ...visit, claim, by: ["cart-1", "cart-3"] }, expectations);
  const connections = await Promise.all(open.map((connection) => connection.stop()));
  const kept = connections.every(({ errors }) => Object.keys(errors).length === 0);
  const pods = connections.flatMap(({ answers }) => Object.keys(answers)).toSorted();
  expectThat(
    expectations,
    "open connections stay open, to the old pod too",
    kept && pods.includes("cart-2"),
    pods.join(", "),
  );
  const requests = await loop.stop();
  const noneLost = Object.keys(requests.errors).length === 0;
  expectThat(expectations, "no request was lost meanwhile", noneLost, answersText(requests));
}

async function showServers(node: TestNode, manifests: string, only = ""): Promise<void> {
  const pods = new Map(node.pods.flatMap(({ name, ip, ip6 }) => [[ip, name] as const, [ip6, name] as const]));
  const rows = serverRows(await node.prints("ipvsadm", "-Sn"), await servicePortNames(manifests), pods);
  console.log(table(rows.filter(([service = ""], index) => index === 0 || service.startsWith(only))));
}

async function showSyncs(node: TestNode): Promise<void> {
  const counted = await metrics(node);
  const count = counted.sum("kube_ipvs_sync_duration_seconds_count");
  const total = counted.sum("kube_ipvs_sync_duration_seconds_sum");
  const [sends, messages] = ["sends", "messages"].map((what) => counted.sum(`kube_ipvs_netlink_${what}_total`));
  console.log(`  ${count} syncs, ${milliseconds(total / count)} each on average`);
  console.log(
    `  ${counted.sum("kube_ipvs_operations_total")} kernel operations; ${messages} netlink messages in ${sends} sends`,
  );
  const failed = counted.sum("kube_ipvs_failed_objects");
  expectThat(expectations, "no operation failed", failed === 0, "");
}

const beganAtMs = performance.now();
try {
  await main();
} catch (error) {
  const reason = error instanceof Error ? error.message : String(error);
  expectThat(expectations, "the demo runs to its end", false, reason);
}
const { passed, failed } = expectations;
heading(`${passed} expectations met, ${failed} not, in ${seconds(performance.now() - beganAtMs)}`);
process.exitCode = failed === 0 ? 0 : 1;
