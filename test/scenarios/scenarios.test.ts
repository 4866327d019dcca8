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
      ...kernel.members().map((member) => `entry ${member}`),
    ],
  };
}

test.each(files)("%s", async (file) => {
  await runScenario(parseScenario(readFileSync(join(import.meta.dirname, file), "utf8")), memoryStage());
});

describe("the runner itself notices", () => {
  const PARTS = {
    service: `kind: Service
metadata: { name: web, namespace: shop }
spec: { clusterIP: 10.96.0.1, ports: [{ port: 80 }] }`,
    servers: "-A -t 10.96.0.1:80 -s rr",
    address: "address 10.96.0.1",
    entries: "entry KUBE-CLUSTER-IP 10.96.0.1,tcp:80\nentry KUBE-IPVS-IPS 10.96.0.1",
  };
  const run = (steps: string, said: string, more = "") =>
    runScenario(
      parseScenario(`node n1\n${steps}\n-- web.yaml --\n${PARTS.service}\n-- said.txt --\n${said}\n${more}`),
      memoryStage(),
    );
  const { servers, address, entries } = PARTS;

  test("nothing where all agrees", async () => {
    await run("apply web.yaml\nexpect said.txt", [servers, address, entries].join("\n"));
    await run("apply web.yaml\nexpect said.txt", servers);
  });

  const REFUSAL = "refuse ENOMEM bind-address 10.96.0.1";
  const WARN = 'WARN operation failed failure="Cannot bind … services=["shop/web"]';
  const EVENT = "Warning FailedToProgram Service shop/web Cannot bind";
  const TWICE = (kind: string) => `expect ${kind} said.txt\nexpect ${kind} said.txt`;

  test("nothing where reports are as they are said", async () => {
    await run(`${REFUSAL}\napply web.yaml\nexpect log said.txt\nexpect log nothing`, WARN);
    await run(`${REFUSAL}\napply web.yaml\nexpect event said.txt\nexpect event nothing`, EVENT);
    await run(`${REFUSAL}\napply web.yaml\nexpect ready\nwait 60\nexpect unready cannot program 1 kernel object`, "");
    await run("apply web.yaml\nexpect log said.txt\nexpect event nothing", "INFO first sync complete");
  });

  const wrong: readonly (readonly [string, string, string])[] = [
    ["a server that was not said", "apply web.yaml\nexpect said.txt", address],
    ["a server that is not there", "apply web.yaml\nexpect said.txt", `${servers}\n-A -t 10.96.0.2:80 -s rr`],
    ["an address that is not there", "apply web.yaml\nexpect said.txt", `${servers}\n${address}\naddress 10.96.0.2`],
    ["a member that was not said", "apply web.yaml\nexpect said.txt", `${servers}\nentry KUBE-IPVS-IPS 10.96.0.1`],
    ["an address where none was said to be", "apply web.yaml\nexpect said.txt", `${servers}\nno address`],
    ["that something is there", "apply web.yaml\nexpect nothing", ""],
    ["meddling that was not mended", "apply web.yaml\nmeddle more.txt\nexpect said.txt", servers],
    ["a server in the kernel alone that is wanted", "apply web.yaml\nexpect said.txt", `kernel ${servers}`],
    ["a conflict that is none", "apply web.yaml\nexpect said.txt", `${servers}\nconflict TCP/10.96.0.1:80 a/a a/b`],
    ["a problem that is none", "apply web.yaml\nexpect said.txt", `${servers}\nrejected Service shop/web spec`],
    ["operations beyond those said", "apply web.yaml\nwrote 3", servers],
    ["a warning that was not said", `${REFUSAL}\napply web.yaml\nexpect log nothing`, ""],
    ["a line that was not logged", "apply web.yaml\nexpect log said.txt", "INFO operation failed"],
    [
      "a line that was logged once and said twice",
      `${REFUSAL}\napply web.yaml\nexpect log said.txt`,
      `${WARN}\n${WARN}`,
    ],
    ["a line that was said and logged before", `${REFUSAL}\napply web.yaml\n${TWICE("log")}`, WARN],
    ["an Event that was not said", `${REFUSAL}\napply web.yaml\nexpect event nothing`, ""],
    ["an Event of another object", `${REFUSAL}\napply web.yaml\nexpect event said.txt`, EVENT.replace("web", "api")],
    ["an Event that was said and written before", `${REFUSAL}\napply web.yaml\n${TWICE("event")}`, EVENT],
    ["an agent that is not ready", `${REFUSAL}\napply web.yaml\nwait 60\nexpect ready`, ""],
    ["an agent that is not ready for another reason", `${REFUSAL}\napply web.yaml\nwait 60\nexpect unready no`, ""],
    ["an agent that is ready", "apply web.yaml\nexpect unready the kernel", ""],
    ["an unknown step", "apply web.yaml\nexpcet said.txt", servers],
    ["an unknown file", "apply other.yaml", servers],
  ];
  test.each(wrong)("%s", async (_, steps, said) => {
    await expect(async () => run(steps, said, "-- more.txt --\naddress del 10.96.0.1\n")).rejects.toThrow();
  });
});
