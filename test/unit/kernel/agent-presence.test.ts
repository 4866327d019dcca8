import { once } from "node:events";
import { connect, createServer } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { AgentPresence, agentIdentity } from "../../../src/kernel/agent-presence.ts";
import { systemClock } from "../../../src/process/system-clock.ts";
import { eventually } from "../../support/time/eventually.ts";

let count = 0;
const address = () => `\0kube-ipvs-test-${process.pid}-${count++}`;
const POD = "0b7a3f6e-2f0f-4a51-9d0e-5f2b8c1d7e90";
const named = (pid: number) => agentIdentity("1.2.0", pid, "");

function presence(at: string, pid: number): AgentPresence {
  const one = new AgentPresence(named(pid), systemClock, at);
  onTestFinished(() => one.close());
  return one;
}

test("agents of one network namespace know each other until one ends, whichever was first", async () => {
  const at = address();
  const first = presence(at, 1);
  expect(await first.others()).toEqual([]);
  const second = presence(at, 2);
  expect(await second.others()).toEqual([named(1)]);
  await eventually(async () => expect(await first.others()).toEqual([named(2)]));
  first.close();
  await eventually(async () => expect(await second.others()).toEqual([]));
  const third = presence(at, 3);
  expect(await third.others()).toEqual([named(2)]);
  third.close();
  await eventually(async () => expect(await second.others()).toEqual([]));
});

test("a program that holds the socket and is silent is reported, and one that connects and is silent is not", async () => {
  const at = address();
  const silent = createServer(() => {}).listen(at);
  await once(silent, "listening");
  const later = presence(at, 1);
  expect(await later.others()).toEqual(["a program that holds the abstract unix socket @kube-ipvs"]);
  later.close();
  silent.close();
  const first = presence(address(), 2);
  await first.others();
});

test("what another program writes is never printed", async () => {
  const at = address();
  const first = presence(at, 1);
  await first.others();
  const other = connect(at);
  await once(other, "connect");
  other.write("kube-ipvs 1.0 (process 1)\u001b[31m\n");
  await once(other.resume(), "close");
  expect(await first.others()).toEqual([]);
});

test("a system without such sockets shows no agent", async () => {
  expect(await presence("/nonexistent/socket", 1).others()).toEqual([]);
});

test("an agent in a pod names the pod by its UID, which the mount of /etc/hosts has", () => {
  const mounts = `1 2 8:1 /var/lib/kubelet/pods/${POD}/etc-hosts /etc/hosts rw,relatime - ext4 /dev/sda1 rw\n`;
  expect(agentIdentity("1.2.0", 7, mounts)).toBe(`kube-ipvs 1.2.0 (process 7, pod ${POD})`);
  const onNode = `1 2 0:5 / /var/lib/kubelet/pods/${POD}/volumes/x rw - tmpfs tmpfs rw\n`;
  expect(agentIdentity("1.2.0", 7, onNode)).toBe("kube-ipvs 1.2.0 (process 7)");
});
