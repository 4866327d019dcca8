import { chmod, mkdir, mkdtemp, rm, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { NODE_FLAGS } from "../../../build.ts";
import { AgentProcess, flagsFor, ManifestFolder } from "../../support/node/agent-process.ts";
import { ended } from "../../support/node/namespace.ts";
import { TestNode } from "../../support/node/netns.ts";
import { serviceObject, sliceObject } from "../../support/objects/builders.ts";
import { BUNDLE } from "../../support/run/bundle.ts";
import { eventually } from "../../support/time/eventually.ts";
import { patient } from "../../support/time/patience.ts";
import { allAnswered } from "../../support/traffic/answers.ts";

/** An agent that cannot write its iptables rules: Services do not wait for them, and the agent is not ready. */
let node: TestNode;
let manifests: ManifestFolder;
const { PATH } = process.env;
const lock = () => `/run/xtables-${node.name}.lock`;

beforeAll(async () => {
  manifests = await ManifestFolder.create();
  node = await TestNode.create({ pods: ["a"] });
  await manifests.put("web.json", [
    serviceObject("shop/web", { ip: "10.96.6.1" }),
    sliceObject("shop/web-1", { endpoints: [node.pod("a").ip] }),
  ]);
});

afterEach(() => rm(lock(), { recursive: true, force: true }));

afterAll(async () => {
  await node?.[Symbol.asyncDispose]();
  await manifests?.[Symbol.asyncDispose]();
});

/** Checks that the Service is programmed, no rule is written, and the readiness probe has this reason. */
async function servedWithoutRules(agent: AgentProcess, reason: string): Promise<void> {
  await eventually(async () => expect(await node.prints("ipvsadm -Sn")).toContain("-r "), { withinMs: 20_000 });
  await eventually(async () => expect((await agent.readyz()).body).toContain(reason), { withinMs: 20_000 });
  expect(await node.prints("iptables-save -t nat")).not.toContain("KUBE-SERVICES");
  expect((await agent.livez()).status).toBe(200);
  expect((await agent.metricsText()).match(/restore_failures_total\{ip_family="IPv4"\} (\d+)/)?.[1]).not.toBe("0");
}

async function readyWithRules(agent: AgentProcess): Promise<void> {
  await agent.ready();
  expect(await node.prints("iptables-save -t nat")).toContain("KUBE-SERVICES");
}

describe("Services are programmed and the agent is unready", () => {
  test("while another program has the lock of iptables", async () => {
    await writeFile(lock(), "");
    const holder = node.node.namespace.start(["flock", "--no-fork", lock(), "sleep", "infinity"]);
    await using agent = AgentProcess.start(node, manifests, "--ipvs-sync-period", "2s");
    await servedWithoutRules(agent, "iptables");
    await ended(holder, "SIGKILL");
    await readyWithRules(agent);
  });

  test("while the lock of iptables cannot be opened", async () => {
    await node.prints("iptables -t nat -F; iptables -t nat -X");
    await rm(lock(), { force: true });
    await mkdir(lock());
    await using agent = AgentProcess.start(node, manifests, "--ipvs-sync-period", "2s");
    await servedWithoutRules(agent, "lock");
    await rmdir(lock());
    await readyWithRules(agent);
  });

  test.each([
    ["the program that writes rules hangs", ["-restore"]],
    ["all programs of iptables hang", ["", "-save", "-restore"]],
  ])("while %s", { timeout: patient(120_000) }, async (_, suffixes) => {
    await node.prints("iptables -t nat -F; iptables -t nat -X");
    const folder = await mkdtemp("/run/kube-ipvs-hanging-");
    try {
      await makeHanging(folder, suffixes);
      await using agent = startWith(folder);
      await servedWithoutRules(agent, "iptables");
      await manifests.put("late.json", [
        serviceObject("shop/late", { ip: "10.96.6.2" }),
        sliceObject("shop/late-1", { endpoints: [node.pod("a").ip] }),
      ]);
      await eventually(async () => expect(await node.prints("ipvsadm -Sn")).toContain("-a -t 10.96.6.2:80 -r "));
      await rm(join(folder, "hang"));
      await readyWithRules(agent);
      expect(await node.client(node.node).tcp("10.96.6.2", 80)).toEqual(allAnswered({ a: 1 }));
    } finally {
      await rm(folder, { recursive: true });
      await manifests.remove("late.json");
    }
  });
});

/** Creates iptables programs that hang while there is a file "hang" beside them, and then run the real ones. */
async function makeHanging(folder: string, suffixes: readonly string[]): Promise<void> {
  await writeFile(join(folder, "hang"), "");
  const names = ["iptables", "ip6tables"].flatMap((name) =>
    ["", "-legacy", "-nft"].flatMap((infix) => suffixes.map((suffix) => `${name}${infix}${suffix}`)),
  );
  for (const name of names) {
    const program = join(folder, name);
    const wait = `while [ -e ${folder}/hang ]; do sleep 0.3; done`;
    await writeFile(program, `#!/bin/sh\n${wait}\nPATH=\${PATH#*:}\nexec ${name} "$@"\n`);
    await chmod(program, 0o755);
  }
}

/** Starts the agent with this folder first in PATH. */
function startWith(folder: string): AgentProcess {
  const argv = [process.execPath, ...NODE_FLAGS, BUNDLE, "run", ...flagsFor(node, manifests)];
  const environment = [`XTABLES_LOCKFILE=${lock()}`, `PATH=${folder}:${PATH}`];
  return AgentProcess.of(node, node.node.namespace.start(["env", ...environment, ...argv, "--ipvs-sync-period", "2s"]));
}
