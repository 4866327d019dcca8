import { readFile } from "node:fs/promises";
import { release } from "node:os";
import type { Config } from "../../config/config.ts";
import { saveCounted } from "../../kernel/iptables/counted-rules.ts";
import { runProcess } from "../../kernel/run-process.ts";
import { FAMILIES } from "../../model/address.ts";
import type { Output } from "../../process/standard-output.ts";
import { systemClock } from "../../process/system-clock.ts";
import { version } from "../../process/version.ts";
import { diff } from "../diff.ts";
import { EXIT_OK } from "../exit-codes.ts";
import { plan } from "../plan.ts";
import { askAgent } from "./ask-agent.ts";
import { doctor } from "./doctor.ts";
import { httpGet } from "./http-get.ts";
import { reachable } from "./metrics-port.ts";
import { tarText } from "./tar.ts";

/**
 * Prints a tar archive with everything that a report of a problem needs: versions, the state of the running agent, plan, diff,
 * doctor, metrics, the end of the log, and what the kernel holds. It contains names and addresses of Services and nodes, and no secrets: nothing
 * of the kubeconfig, of tokens or of environment variables. A part that cannot be had is a file with the reason.
 */
export async function supportBundle(config: Config, output: Output): Promise<number> {
  const texts = { ...config, output: "text" as const };
  const parts: Readonly<Record<string, () => Promise<string>>> = {
    "versions.txt": () => versions(config),
    "status.json": () => asked(config, "/status"),
    "state.json": () => asked(config, "/state?output=json"),
    "log.txt": () => logTail(config),
    "doctor.txt": () => printed((to) => doctor(texts, to)),
    "plan.txt": () => printed((to) => plan(texts, to)),
    "diff.txt": () => printed((to) => diff(texts, to)),
    "metrics.txt": () => metrics(config),
    "kernel/ip_vs.txt": () => readFile("/proc/net/ip_vs", "utf8"),
    "kernel/ip_vs_stats.txt": () => readFile("/proc/net/ip_vs_stats", "utf8"),
    "kernel/conntrack.txt": () => readFile("/proc/net/stat/nf_conntrack", "utf8"),
    "kernel/modules.txt": () => readFile("/proc/modules", "utf8"),
    "kernel/addresses.txt": () => ran("ip", "address"),
    "kernel/routes.txt": () => ran("ip", "route", "show", "table", "all"),
    ...Object.fromEntries(
      FAMILIES.map((family) => [
        `kernel/iptables-${family}.txt`,
        async () => (await saveCounted(runProcess, family)).join("\n"),
      ]),
    ),
  };
  const files: { name: string; text: string }[] = [];
  for (const [name, make] of Object.entries(parts))
    files.push({ name: `kube-ipvs/${name}`, text: await orReason(make) });
  output.out(tarText(files, systemClock.date().getTime() / 1000));
  return EXIT_OK;
}

async function orReason(make: () => Promise<string>): Promise<string> {
  try {
    return await make();
  } catch (error) {
    return `not available: ${error instanceof Error ? error.message : String(error)}\n`;
  }
}

/** The programs whose versions matter, with the argument that prints it. Those that are missing are named, too. */
const PROGRAMS: readonly (readonly [string, string])[] = [
  ["iptables", "--version"],
  ["iptables-legacy", "--version"],
  ["iptables-nft", "--version"],
  ["ip6tables", "--version"],
  ["ip", "-V"],
  ["modprobe", "--version"],
];

async function versions({ nodeName }: Config): Promise<string> {
  const lines = [
    ["kube-ipvs", version],
    ["node", nodeName],
    ["kernel", release()],
    ["Node.js", process.version],
    ["architecture", process.arch],
    ["time", systemClock.date().toISOString()],
    ...(await Promise.all(PROGRAMS.map(async ([file, argument]) => [`${file}:`, await firstLine(file, argument)]))),
  ];
  return lines.map((line) => `${line.join(" ")}\n`).join("");
}

async function asked({ stateSocket }: Config, path: string): Promise<string> {
  const answer = await askAgent(stateSocket, path);
  if (answer.kind === "no agent") throw new Error(answer.reason);
  return `${JSON.stringify(answer.json, null, 2)}\n`;
}

async function firstLine(file: string, argument: string): Promise<string> {
  const { stdout, stderr } = await runProcess(file, [argument]);
  return (stdout || stderr).trim().split("\n")[0] ?? "";
}

/** The last lines of the log of the running agent. */
async function logTail({ stateSocket }: Config): Promise<string> {
  const answer = await askAgent(stateSocket, "/log");
  if (answer.kind === "no agent") throw new Error(answer.reason);
  const { lines } = answer.json as { readonly lines: readonly string[] }; // the agent is this program
  return lines.map((line) => `${line}\n`).join("");
}

/** What a command prints on both outputs, and its exit code. */
async function printed(command: (to: Output) => Promise<number>): Promise<string> {
  const pieces: string[] = [];
  const add = (text: string): void => void pieces.push(text);
  const code = await command({ out: add, err: add });
  return `${pieces.join("")}exit code ${code}\n`;
}

async function ran(file: string, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runProcess(file, args);
  if (code !== 0) throw new Error(stderr);
  return stdout;
}

async function metrics({ metricsBindAddress: bind, metricsCertFile }: Config): Promise<string> {
  if (bind === undefined) throw new Error("there is no metrics server");
  if (metricsCertFile !== "") throw new Error("the metrics server uses TLS");
  return (await httpGet({ ...reachable(bind), path: "/metrics" })).body;
}
