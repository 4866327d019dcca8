import { once } from "node:events";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { NODE_FLAGS } from "../../../build.ts";
import { AgentProcess, flagsFor, ManifestFolder } from "../../support/node/agent-process.ts";
import { ended } from "../../support/node/namespace.ts";
import { TestNode } from "../../support/node/netns.ts";
import type { Program } from "../../support/node/program.ts";
import { serviceObject, sliceObject } from "../../support/objects/builders.ts";
import { BUNDLE } from "../../support/run/bundle.ts";
import { eventually } from "../../support/time/eventually.ts";

/** The agent as a process: signals, its child, and a log that cannot be written. */
let node: TestNode;
let manifests: ManifestFolder;

beforeAll(async () => {
  manifests = await ManifestFolder.create();
  node = await TestNode.create({ pods: ["a"] });
});

afterAll(async () => {
  await node?.[Symbol.asyncDispose]();
  await manifests?.[Symbol.asyncDispose]();
});

const SOON = { withinMs: 30_000, everyMs: 100 };

const MONITORS = `here=$(readlink /proc/self/ns/net)
  for pid in $(pgrep -fx "ip -o monitor address"); do
    [ "$(readlink /proc/$pid/ns/net)" = "$here" ] && echo $pid
  done; true`;

/** Process ids of the monitors of addresses on the node. */
async function monitors(): Promise<readonly string[]> {
  return (await node.node.namespace.output(["bash", "-c", MONITORS])).split("\n").filter((line) => line !== "");
}

/** Starts the agent by a shell command in which "$@" is its command line. It ends with the test, also when that fails. */
function start(command = 'exec "$@"'): Program {
  const agent = [process.execPath, ...NODE_FLAGS, BUNDLE, "run", ...flagsFor(node, manifests)];
  const program = node.node.namespace.start(["bash", "-c", command, "-", ...agent]);
  onTestFinished(() => ended(program, "SIGKILL"));
  return program;
}

/** Creates the Service and waits until the pod answers. */
async function serves(ip: string): Promise<void> {
  const name = `shop/s${ip.replaceAll(".", "-")}`;
  await manifests.put(`${ip}.json`, [
    serviceObject(name, { ip }),
    sliceObject(`${name}-1`, { endpoints: [node.pod("a").ip] }),
  ]);
  await eventually(async () => {
    const { answers } = await node.client(node.node).tcp(ip, 80, 1);
    expect(answers).toEqual({ a: 1 });
  }, SOON);
}

test.each(["SIGHUP", "SIGQUIT"] as const)(
  "%s ends the agent with success, and its monitor of addresses with it",
  async (signal) => {
    const program = start();
    await AgentProcess.of(node, program).ready();
    await eventually(async () => expect(await monitors()).toHaveLength(1), SOON);
    await ended(program, signal);
    expect(program.exitCode).toBe(0);
    expect(await monitors()).toEqual([]);
  },
);

test("an agent that is stopped just after a change of addresses opens no new socket, and ends", async () => {
  const program = start();
  await AgentProcess.of(node, program).ready();
  const change = (verb: string) => ["ip", "address", verb, "192.168.1.77/32", "dev", "eth0"];
  // The agent reads the addresses 20 ms after a change.
  await node.node.namespace.output(change("add"));
  await ended(program, "SIGTERM");
  expect(program.exitCode).toBe(0);
  await node.node.namespace.output(change("del"));
});

test("SIGUSR1 opens no debugger, SIGUSR2 is ignored, and the agent still programs", async () => {
  const program = start();
  let complaints = "";
  program.stderr.setEncoding("utf8").on("data", (chunk: string) => (complaints += chunk));
  await using agent = AgentProcess.of(node, program);
  await agent.ready();
  program.kill("SIGUSR1");
  program.kill("SIGUSR2");
  await serves("10.96.1.1");
  const listening = await node.node.namespace.output(["ss", "-Hltn"]);
  expect(listening).toContain(":10256");
  expect(listening).not.toContain(":9229");
  expect(complaints).toBe("");
});

test("a monitor of addresses ends when its agent is killed, without a change of an address", async () => {
  const program = start();
  await AgentProcess.of(node, program).ready();
  await eventually(async () => expect(await monitors()).toHaveLength(1), SOON);
  await ended(program, "SIGKILL");
  await eventually(async () => expect(await monitors()).toEqual([]), SOON);
});

test("the next agent ends the monitor of a killed agent, and not the monitor of an operator", async () => {
  const command = ["ip", "-o", "monitor", "address"];
  const operators = node.node.namespace.start(command);
  const left = node.node.namespace.start(["env", "KUBE_IPVS_MONITOR_OF=4194305", ...command]);
  await eventually(async () => expect(await monitors()).toHaveLength(2), SOON);
  const leftEnded = once(left, "close");
  {
    await using agent = AgentProcess.of(node, start());
    await agent.ready();
    await leftEnded;
    expect(await monitors()).toHaveLength(2);
  }
  expect(operators.exitCode).toBeUndefined();
  await ended(operators);
});

/** Named pipes, as the guest has no /dev/fd. The agent itself keeps the unread end of the first. */
const UNREAD = 'mkfifo /run/unread; exec 3<>/run/unread; exec "$@" >/run/unread';
const LEFT = 'mkfifo /run/left; exec 3<>/run/left; exec >/run/left; exec 3<&-; exec "$@"';

test.each([
  ["a full disk", 'exec "$@" > /dev/full'],
  ["a reader that has left", LEFT],
  ["a reader that does not read", UNREAD],
])("an agent that logs more than a pipe holds to %s still serves and ends", async (_, command) => {
  const wrong = Array.from({ length: 1_000 }, (_, number) => serviceObject(`wrong/s${number}`, { ip: "10.96.300.1" }));
  await manifests.put("wrong.json", wrong);
  const program = start(command);
  await AgentProcess.of(node, program).ready();
  await serves("10.96.1.2");
  await ended(program, "SIGTERM");
  expect(program.exitCode).toBe(0);
});
