import type { Config } from "../../config/config.ts";
import { diagnose, diagnosisText } from "../../explain/doctor/diagnose.ts";
import type { NodeEvidence } from "../../explain/doctor/evidence.ts";
import { kernelFamilies } from "../../kernel/families.ts";
import { saveCounted } from "../../kernel/iptables/counted-rules.ts";
import { IptablesError } from "../../kernel/iptables/programs.ts";
import { missingSchedulers } from "../../kernel/modules.ts";
import { NodeEvidenceReader } from "../../kernel/node-evidence.ts";
import { runProcess } from "../../kernel/run-process.ts";
import { SysctlClient } from "../../kernel/sysctl.ts";
import type { IPFamily } from "../../model/address.ts";
import { KernelError } from "../../model/kernel/kernel-error.ts";
import { parsePortRanges } from "../../model/port-range.ts";
import { configuredFamilies, familiesShown } from "../../node/node-facts.ts";
import { nodeSetup } from "../../node/node-setup.ts";
import { quietLogger } from "../../process/log.ts";
import type { Output } from "../../process/standard-output.ts";
import { systemClock } from "../../process/system-clock.ts";
import type { ClusterState } from "../../sources/source.ts";
import { readCluster } from "../cluster-source.ts";
import { EXIT_DIFFERENT, EXIT_OK } from "../exit-codes.ts";
import { readHostInfo, thisKernel } from "../this-node.ts";
import { checkServer } from "./api-server-check.ts";

/** Prints what is wrong with this node. Reads only. Exit code 2 if there is an error or a warning. */
export async function doctor(config: Config, output: Output, kernel = thisKernel(config)): Promise<number> {
  try {
    const findings = diagnose(await evidenceOf(config, output, kernel));
    output.out(
      config.output === "json"
        ? `${JSON.stringify({ node: config.nodeName, findings }, null, 2)}\n`
        : diagnosisText(config.nodeName, findings),
    );
    return findings.some(({ severity }) => severity !== "info") ? EXIT_DIFFERENT : EXIT_OK;
  } finally {
    await kernel.close();
  }
}

type ReadKernel = Pick<ReturnType<typeof thisKernel>, "inspect">;

async function evidenceOf(config: Config, output: Output, kernel: ReadKernel): Promise<NodeEvidence> {
  const reader = new NodeEvidenceReader();
  const machine = await readHostInfo(await kernelFamilies());
  const { cluster, sourceFailure } = await sourceOf(config, output);
  const used = cluster.events.flatMap((event) => familiesShown(event, config.nodeName));
  const podCIDRs = cluster.events.flatMap((event) =>
    event.kind === "node-upserted" && event.node.name === config.nodeName ? event.node.podCIDRs : [],
  );
  const setup = nodeSetup(config, machine, { podCIDRs, families: [...configuredFamilies(config), ...used] });
  const sysctls = new SysctlClient();
  // The sysctls are examined one by one: these differences have no severity.
  const inspected = await inspect(kernel, { ...setup, sysctls: [] });
  const saved = await savedRules(machine.families);
  const chosen = await sysctls.value("net/ipv4/ip_local_port_range");
  const reserved = (await sysctls.value("net/ipv4/ip_local_reserved_ports")) ?? "";
  const conntrack = await reader.conntrack();
  const services = cluster.events.flatMap((event) => (event.kind === "service-upserted" ? [event.service] : []));
  const schedulers = new Set([
    config.scheduler,
    ...services.flatMap(({ overrides }) =>
      overrides.scheduling === undefined ? [] : [overrides.scheduling.scheduler],
    ),
  ]);
  return {
    ...inspected,
    sysctls: await Promise.all(setup.sysctls.map(async (one) => ({ ...one, found: await sysctls.value(one.path) }))),
    saved,
    rules: setup.rules,
    scheduler: config.scheduler,
    missingSchedulers: await missingSchedulers([...schedulers]),
    ...(conntrack && { conntrack }),
    ...(chosen !== undefined && {
      sourcePorts: { chosen: parsePortRanges(chosen), reserved: parsePortRanges(reserved) },
    }),
    nodePorts: services.flatMap(({ ports }) => ports.map(({ nodePort }) => nodePort).filter((port) => port > 0)),
    processes: await reader.processes(),
    interfaces: await reader.interfaces(),
    proxyLeftovers: leftovers(Object.values(saved).flat()),
    strictArp: config.strictArp,
    sourceFailure,
    servers: await Promise.all(config.servers.map((url) => checkServer(url, systemClock))),
  };
}

async function sourceOf(config: Config, output: Output): Promise<{ cluster: ClusterState; sourceFailure: string }> {
  const nothing: ClusterState = { events: [], problems: [] };
  if (config.manifests === "" && config.kubeconfig === "" && config.servers.length === 0)
    return { cluster: nothing, sourceFailure: "" };
  try {
    return { cluster: await readCluster(config, quietLogger(output)), sourceFailure: "" };
  } catch (error) {
    return { cluster: nothing, sourceFailure: error instanceof Error ? error.message : String(error) };
  }
}

async function inspect(
  kernel: ReadKernel,
  setup: Parameters<ReadKernel["inspect"]>[0],
): Promise<Pick<NodeEvidence, "unavailable" | "differences" | "unreadable">> {
  try {
    const { changed, warnings } = await kernel.inspect(setup);
    return { unavailable: "", differences: changed.map(({ text }) => text), unreadable: warnings };
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return { unavailable: error.message, differences: [], unreadable: [] };
  }
}

async function savedRules(families: readonly IPFamily[]): Promise<NodeEvidence["saved"]> {
  const saved: Partial<Record<IPFamily, readonly string[]>> = {};
  for (const family of families) {
    try {
      saved[family] = await saveCounted(runProcess, family);
    } catch (error) {
      // `inspect` reports that the rules cannot be read.
      if (!(error instanceof IptablesError)) throw error;
    }
  }
  return saved;
}

/** Chains that only kube-proxy's iptables mode makes. */
function leftovers(texts: readonly string[]): readonly string[] {
  const count = texts.flatMap((text) => text.match(/^:KUBE-(?:SVC|SEP)-\S+/gm) ?? []).length;
  return count === 0 ? [] : [`${count} chains of its mode iptables (KUBE-SVC-*, KUBE-SEP-*)`];
}
