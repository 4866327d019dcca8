import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { MemoryKernel } from "../support/memory-kernel/memory-kernel.ts";
import { parseScenario } from "../support/scenario/scenario.ts";
import { runScenario, type Stage } from "../support/scenario/scenario-runner.ts";

const files = globSync("*/*.txt", { cwd: import.meta.dirname }).toSorted();

function memoryStage(): Stage {
  const kernel = new MemoryKernel();
  return {
    kernel,
    observeText: async () => [
      ...kernel
        .ipvsadm()
        .split("\n")
        .filter((line) => line !== ""),
      ...kernel.addresses().map((address) => `address ${address}`),
      ...kernel.routes().map((address) => `route ${address}`),
      ...kernel.members().map((member) => `entry ${member}`),
    ],
  };
}

test.each(files)("%s", async (file) => {
  await runScenario(parseScenario(readFileSync(join(import.meta.dirname, file), "utf8")), memoryStage());
});

describe("the scenario runner fails on", () => {
  const PARTS = {
    service: `kind: Service
metadata: { name: web, namespace: shop }
spec: { clusterIP: 10.96.0.1, ports: [{ port: 80 }] }`,
    servers: "-A -t 10.96.0.1:80 -s rr",
    address: "address 10.96.0.1",
    entries: "entry KUBE-CLUSTER-IP 10.96.0.1,tcp:80\nentry KUBE-IPVS-IPS 10.96.0.1",
  };
  const run = (steps: string, expected: string, more = "") =>
    runScenario(
      parseScenario(`node n1\n${steps}\n-- web.yaml --\n${PARTS.service}\n-- expected.txt --\n${expected}\n${more}`),
      memoryStage(),
    );
  const { servers, address, entries } = PARTS;

  test("nothing if kernel, plan and expectation agree", async () => {
    await run("apply web.yaml\nexpect expected.txt", [servers, address, entries].join("\n"));
    await run("apply web.yaml\nexpect expected.txt", servers);
  });

  const FAULT = "fail ENOMEM bind-address 10.96.0.1";
  const WARN = 'WARN operation failed failure="Cannot bind … services=["shop/web"]';
  const EVENT = "Warning FailedToProgram Service shop/web Cannot bind";
  const TWICE = (kind: string) => `expect ${kind} expected.txt\nexpect ${kind} expected.txt`;

  test("nothing if the reports are the expected ones", async () => {
    await run(`${FAULT}\napply web.yaml\nexpect log expected.txt\nexpect log nothing`, WARN);
    await run(`${FAULT}\napply web.yaml\nexpect event expected.txt\nexpect event nothing`, EVENT);
    await run(`${FAULT}\napply web.yaml\nexpect ready\nwait 60\nexpect unready cannot program 1 kernel object`, "");
    await run("apply web.yaml\nexpect log expected.txt\nexpect event nothing", "INFO first sync complete");
  });

  const wrong: readonly (readonly [string, string, string])[] = [
    ["a server that was not expected", "apply web.yaml\nexpect expected.txt", address],
    ["a server that is missing", "apply web.yaml\nexpect expected.txt", `${servers}\n-A -t 10.96.0.2:80 -s rr`],
    ["an address that is missing", "apply web.yaml\nexpect expected.txt", `${servers}\n${address}\naddress 10.96.0.2`],
    [
      "a member that was not expected",
      "apply web.yaml\nexpect expected.txt",
      `${servers}\nentry KUBE-IPVS-IPS 10.96.0.1`,
    ],
    ["an address if none was expected", "apply web.yaml\nexpect expected.txt", `${servers}\nno address`],
    ["any object if nothing was expected", "apply web.yaml\nexpect nothing", ""],
    ["an external change that was not repaired", "apply web.yaml\nmeddle more.txt\nexpect expected.txt", servers],
    [
      "a desired server that was expected in the kernel alone",
      "apply web.yaml\nexpect expected.txt",
      `kernel ${servers}`,
    ],
    [
      "a conflict that does not exist",
      "apply web.yaml\nexpect expected.txt",
      `${servers}\nconflict TCP/10.96.0.1:80 a/a a/b`,
    ],
    [
      "a problem that does not exist",
      "apply web.yaml\nexpect expected.txt",
      `${servers}\nrejected Service shop/web spec`,
    ],
    ["another number of operations than expected", "apply web.yaml\nwrote 3", servers],
    ["a warning that was not expected", `${FAULT}\napply web.yaml\nexpect log nothing`, ""],
    ["a line that was not logged", "apply web.yaml\nexpect log expected.txt", "INFO operation failed"],
    [
      "a line that was logged once and expected twice",
      `${FAULT}\napply web.yaml\nexpect log expected.txt`,
      `${WARN}\n${WARN}`,
    ],
    ["a line that was expected and logged before", `${FAULT}\napply web.yaml\n${TWICE("log")}`, WARN],
    ["an Event that was not expected", `${FAULT}\napply web.yaml\nexpect event nothing`, ""],
    ["an Event of another object", `${FAULT}\napply web.yaml\nexpect event expected.txt`, EVENT.replace("web", "api")],
    ["an Event that was expected and written before", `${FAULT}\napply web.yaml\n${TWICE("event")}`, EVENT],
    [
      "an agent that is not ready if it was expected to be ready",
      `${FAULT}\napply web.yaml\nwait 60\nexpect ready`,
      "",
    ],
    ["an agent that is not ready for another reason", `${FAULT}\napply web.yaml\nwait 60\nexpect unready no`, ""],
    ["an agent that is ready if it was expected to be unready", "apply web.yaml\nexpect unready the kernel", ""],
    ["an unknown step", "apply web.yaml\nexpcet expected.txt", servers],
    ["an unknown file", "apply other.yaml", servers],
  ];
  test.each(wrong)("%s", async (_, steps, expected) => {
    await expect(async () => run(steps, expected, "-- more.txt --\naddress del 10.96.0.1\n")).rejects.toThrow();
  });
});
