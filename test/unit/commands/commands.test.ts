import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { cleanup } from "../../../src/commands/cleanup.ts";
import { diff } from "../../../src/commands/diff.ts";
import { EXIT_DIFFERENT, EXIT_FAILURE, EXIT_OK } from "../../../src/commands/exit-codes.ts";
import { plan } from "../../../src/commands/plan.ts";
import { rollback } from "../../../src/commands/rollback.ts";
import { readConfig } from "../../../src/config/config.ts";
import { OWN_CHAINS, PROXY_CHAINS } from "../../../src/node/rules/proxy-rules.ts";
import { FakeNode } from "../kernel/fake-node.ts";

let manifests: string;
beforeEach(async () => {
  manifests = await mkdtemp(join(tmpdir(), "kube-ipvs-"));
});
afterEach(() => rm(manifests, { recursive: true }));

/** Runs a command of a cluster without Services on the node. */
async function carryOut(command: typeof diff, node: FakeNode) {
  const { config } = readConfig({
    nodeName: { source: "--node-name", text: "n1" },
    manifests: { source: "--manifests", text: manifests },
  });
  const out: string[] = [];
  const err: string[] = [];
  const output = { out: (text: string) => void out.push(text), err: (text: string) => void err.push(text) };
  const status = await command(config, output, node.kernel(PROXY_CHAINS));
  return { status, out: out.join(""), err: err.join("") };
}

test("diff prints what is missing, and exits as different", async () => {
  const { status, out, err } = await carryOut(diff, new FakeNode());
  expect([status, err]).toEqual([EXIT_DIFFERENT, ""]);
  expect(out).toContain('~ the rules of kube-ipvs in table "nat" of IPv4 differ\n');
});

test("diff fails with the reason if it could not read everything", async () => {
  const node = new FakeNode();
  const { run } = node.iptables;
  Object.assign(node.iptables, {
    run: async (file: string, args: readonly string[], input?: string) =>
      /^iptables.*-save$/.test(file) ? { code: 1, stdout: "", stderr: "no rules" } : run(file, args, input),
  });
  const { status, out, err } = await carryOut(diff, node);
  expect(status).toBe(EXIT_FAILURE);
  expect(err).toContain("Cannot read iptables rules of IPv4: no rules\n");
  expect(out).toContain('~ the rules of kube-ipvs in table "nat" of IPv6 differ\n');
});

test("cleanup keeps an interface of our name that is no dummy, removes the rest and reports it", async () => {
  const node = new FakeNode();
  node.link = "bridge";
  node.sets.set("KUBE-CLUSTER-IP", { type: "hash:ip,port" });
  const { status, out, err } = await carryOut(cleanup, node);
  expect(out).toBe('0 virtual servers\ndestroyed set "KUBE-CLUSTER-IP"\n');
  expect(err).toBe('Interface "kube-ipvs0" was not deleted: it is of kind "bridge", not "dummy"\n');
  expect([status, node.link]).toEqual([EXIT_FAILURE, "bridge"]);
});

test("cleanup of a node without our objects succeeds", async () => {
  const node = new FakeNode();
  node.link = undefined;
  expect(await carryOut(cleanup, node)).toEqual({ status: EXIT_OK, out: "0 virtual servers\n", err: "" });
});

test("plan prints the problems of objects on standard error, too, and with --strict fails because of them", async () => {
  const wrong = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web", namespace: "shop" },
    spec: { clusterIP: "10.96.0.300" },
  };
  await writeFile(join(manifests, "shop.json"), JSON.stringify(wrong));
  const planned = async (strict: string) => {
    const { config } = readConfig({
      nodeName: { source: "--node-name", text: "n1" },
      manifests: { source: "--manifests", text: manifests },
      strict: { source: "--strict", text: strict },
    });
    const err: string[] = [];
    const code = await plan(config, { out: () => undefined, err: (text) => void err.push(text) });
    return { code, err: err.join("") };
  };
  const [lenient, strict] = [await planned("false"), await planned("true")];
  expect([lenient.code, strict.code]).toEqual([EXIT_OK, EXIT_DIFFERENT]);
  expect(strict.err).toMatch(/^Service shop\/web in file shop.json.*10\.96\.0\.300/m);
});

test("rollback destroys the sets that kube-proxy does not have, and keeps the others with the interface", async () => {
  const node = new FakeNode();
  for (const name of ["KUBE-CLUSTER-IP", "KUBE-6-CLUSTER-IP"]) node.sets.set(name, { type: "hash:ip,port" });
  node.sets.set("KUBE-DROP", { type: "hash:ip,port" });
  const { status, out, err } = await carryOut(rollback, node);
  expect([status, err]).toEqual([EXIT_OK, ""]);
  expect(out).toContain('destroyed set "KUBE-DROP"\n');
  expect([...node.sets.sets.keys()].sort()).toEqual(["KUBE-6-CLUSTER-IP", "KUBE-CLUSTER-IP"]);
  expect(node.link).toBe("dummy");
});

test("after rollback no rule refers to a chain or a set that kube-proxy does not have, and a second call changes nothing", async () => {
  const node = new FakeNode();
  await carryOut(rollback, node);
  const saved = (await node.iptables.run("iptables-save", [])).stdout;
  expect(saved).toContain("-j KUBE-SERVICES");
  for (const chain of Object.values(OWN_CHAINS).flat()) expect(saved).not.toContain(chain);
  for (const set of ["KUBE-NODE-PORT-IPS", "KUBE-DROP", "KUBE-SERVICE-CIDR"]) expect(saved).not.toContain(set);
  expect(await carryOut(rollback, node)).toEqual({ status: EXIT_OK, out: "nothing to remove\n", err: "" });
});
