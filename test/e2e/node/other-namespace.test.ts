import { afterAll, beforeAll, expect, test } from "vitest";
import { AgentProcess, flagsFor, kubeIpvs, ManifestFolder, sumOf } from "../../support/node/agent-process.ts";
import { TestNode } from "../../support/node/netns.ts";
import { heldLines } from "../../support/node/witness.ts";
import { serviceObject, sliceObject } from "../../support/objects/builders.ts";
import { eventually } from "../../support/time/eventually.ts";
import { patient } from "../../support/time/patience.ts";

/**
 * A host whose other network namespace has IPVS, too, as with several nodes of kind, or Docker Swarm. Each has several pages
 * of /proc/net/ip_vs, in which Linux up to 6.19 counts the rows of both.
 */
const SERVICES = 180;
const OTHERS = 300;
/** Services that have one. */
const NODE_PORTS = 20;

let node: TestNode;
let manifests: ManifestFolder;

/** Services n to m, each with one endpoint. */
function services(from: number, to: number): readonly object[] {
  return Array.from({ length: to - from }, (_, index) => {
    const number = from + index;
    const ip = `10.96.${number >> 8}.${number & 255}`;
    return [
      serviceObject(`shop/s${number}`, {
        ip,
        ports: [{ port: 80, ...(number < NODE_PORTS && { nodePort: 30_000 + number }) }],
      }),
      sliceObject(`shop/s${number}-1`, { endpoints: ["10.244.1.10"] }),
    ];
  }).flat();
}

/** Virtual servers of the other namespace, the first of which have our own addresses and ports. */
const others = Array.from({ length: OTHERS }, (_, number) => {
  const server = `${number < 50 ? "10.96" : "10.120"}.${number >> 8}.${number & 255}:80`;
  return `-A -t ${server} -s sh\n-a -t ${server} -r 10.9.9.9:9090 -m -w 7\n`;
}).join("");

const othersHeld = async () => (await node.outside.namespace.output(["ipvsadm", "-Sn"])).split("\n").toSorted();
const servers = async () => (await heldLines(node.shell)).filter((line) => line.startsWith("-A "));

beforeAll(async () => {
  manifests = await ManifestFolder.create();
  node = await TestNode.create({ pods: [] });
  await node.outside.namespace.output(["ipvsadm", "-R"], others);
  await manifests.put("first.json", services(0, SERVICES / 2));
  await manifests.put("second.json", services(SERVICES / 2, SERVICES));
});

afterAll(async () => {
  await node?.[Symbol.asyncDispose]();
  await manifests?.[Symbol.asyncDispose]();
});

test("beside virtual servers of another namespace diff prints nothing, a restart adds nothing and deletes removed Services, and cleanup leaves nothing", {
  timeout: patient(120_000),
}, async () => {
  const theirs = await othersHeld();
  const first = AgentProcess.start(node, manifests);
  await first.ready();
  expect(await servers()).toHaveLength(SERVICES + NODE_PORTS);
  await first.kill();
  expect(await kubeIpvs(node, "diff", ...flagsFor(node, manifests))).toEqual({ code: 0, out: "", err: "" });

  await manifests.remove("first.json");
  await using second = AgentProcess.start(node, manifests);
  await second.ready();
  await eventually(async () => expect(await servers()).toHaveLength(SERVICES / 2), { withinMs: 40_000, everyMs: 100 });
  const metrics = await second.metrics();
  expect(sumOf(metrics, /^kube_ipvs_operations_total\{operation="(add|bind)/)).toBe(0);
  expect(sumOf(metrics, /^kube_ipvs_operations_total\{.*result="(?!ok")/)).toBe(0);
  await second.kill();

  expect((await kubeIpvs(node, "cleanup", ...flagsFor(node, manifests))).code).toBe(0);
  expect(await heldLines(node.shell)).toEqual([]);
  expect(await othersHeld()).toEqual(theirs);
});
