import type { Config } from "../../config/config.ts";
import type { NodeEvidence } from "../../explain/doctor/evidence.ts";
import { kernelFamilies } from "../../kernel/families.ts";
import { saveCounted } from "../../kernel/iptables/counted-rules.ts";
import { IptablesError } from "../../kernel/iptables/programs.ts";
import { DUMMY_NAME } from "../../kernel/link/client.ts";
import { missingModules, missingSchedulers } from "../../kernel/modules.ts";
import { NodeEvidenceReader } from "../../kernel/node-evidence.ts";
import { proxyProcesses } from "../../kernel/proxy-processes.ts";
import { runProcess } from "../../kernel/run-process.ts";
import { SysctlClient } from "../../kernel/sysctl.ts";
import type { IPFamily } from "../../model/address.ts";
import type { Service } from "../../model/cluster/service.ts";
import { KernelError } from "../../model/kernel/kernel-error.ts";
import { parsePortRanges } from "../../model/port-range.ts";
import { hasBinding } from "../../model/vip-binding.ts";
import { configuredFamilies, familiesShown } from "../../node/node-facts.ts";
import { type HostInfo, nodeSetup } from "../../node/node-setup.ts";
import type { ClusterState } from "../../sources/source.ts";
import { readHostInfo, type thisKernel } from "../this-node.ts";
import { occupiedMetricsPort } from "./metrics-port.ts";
import type { SourceEvidence } from "./source-evidence.ts";

/** The part of the kernel that is read. */
export type ReadKernel = Pick<ReturnType<typeof thisKernel>, "inspect" | "setFills" | "foreignTables" | "observe">;

/** Reads what `doctor` examines. Changes nothing. */
export async function nodeEvidence(
  config: Config,
  { cluster, sourceFailure, servers, certificates }: SourceEvidence,
  kernel: ReadKernel,
): Promise<NodeEvidence> {
  const reader = new NodeEvidenceReader();
  const machine = await readHostInfo(await kernelFamilies());
  const setup = setupOf(config, cluster, machine);
  const sysctls = new SysctlClient();
  const saved = await savedRules(machine.families);
  const services = cluster.events.flatMap((event) => (event.kind === "service-upserted" ? [event.service] : []));
  const ports = services.flatMap((service) => service.ports);
  const conntrack = await reader.conntrack();
  const occupiedPort = await occupiedMetricsPort(config, reader);
  return {
    // The sysctls are examined one by one: these differences have no severity.
    ...(await inspect(kernel, { ...setup, sysctls: [] })),
    ...(await readKernel(kernel, machine, sysctls)),
    sysctls: await Promise.all(setup.sysctls.map(async (one) => ({ ...one, found: await sysctls.value(one.path) }))),
    saved,
    rules: setup.rules,
    scheduler: config.scheduler,
    missingSchedulers: await missingSchedulers([...schedulersOf(config, services)]),
    missingModules: await missingModules(),
    ...(conntrack && { conntrack }),
    ...(await sourcePorts(sysctls)),
    nodePorts: ports.map(({ nodePort }) => nodePort).filter((port) => port > 0),
    hasUdpServices: ports.some(({ protocol }) => protocol === "UDP"),
    reversePath: await reader.reversePath(),
    mtus: await reader.mtus(),
    processes: await reader.processes(),
    interfaces: await reader.interfaces(),
    otherProxies: await proxyProcesses(),
    managers: await reader.managers(DUMMY_NAME),
    ...(occupiedPort && { occupiedPort }),
    strictArp: config.strictArp,
    sourceFailure,
    servers,
    certificates,
  };
}

function setupOf(config: Config, { events }: ClusterState, machine: HostInfo) {
  const used = events.flatMap((event) => familiesShown(event, config.nodeName));
  const podCIDRs = events.flatMap((event) =>
    event.kind === "node-upserted" && event.node.name === config.nodeName ? event.node.podCIDRs : [],
  );
  return nodeSetup(config, machine, { podCIDRs, families: [...configuredFamilies(config), ...used] });
}

function schedulersOf({ scheduler }: Config, services: readonly Service[]): ReadonlySet<NodeEvidence["scheduler"]> {
  const chosen = services.flatMap(({ overrides: { scheduling } }) =>
    scheduling === undefined ? [] : [scheduling.scheduler],
  );
  return new Set([scheduler, ...chosen]);
}

async function sourcePorts(sysctls: SysctlClient): Promise<Pick<NodeEvidence, "sourcePorts">> {
  const chosen = await sysctls.value("net/ipv4/ip_local_port_range");
  const reserved = (await sysctls.value("net/ipv4/ip_local_reserved_ports")) ?? "";
  if (chosen === undefined) return {};
  return { sourcePorts: { chosen: parsePortRanges(chosen), reserved: parsePortRanges(reserved) } };
}

async function inspect(
  kernel: ReadKernel,
  setup: Parameters<ReadKernel["inspect"]>[0],
): Promise<Pick<NodeEvidence, "unavailable" | "differences" | "unreadable" | "backendWarnings">> {
  try {
    const { changed, warnings, backends } = await kernel.inspect(setup);
    return {
      unavailable: "",
      differences: changed.map(({ text }) => text),
      unreadable: warnings,
      backendWarnings: backends?.warnings ?? [],
    };
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return { unavailable: error.message, differences: [], unreadable: [], backendWarnings: [] };
  }
}

/** What the kernel holds; nothing of a part that it does not have. */
async function readKernel(
  kernel: ReadKernel,
  { kernelRelease }: HostInfo,
  sysctls: SysctlClient,
): Promise<Pick<NodeEvidence, "sets" | "foreignTables" | "estimation" | "vipAddresses">> {
  const sets = await orUndefined(kernel.setFills());
  const foreignTables = await orUndefined(kernel.foreignTables());
  const observed = await orUndefined(kernel.observe("all"));
  const isOn = (await sysctls.value("net/ipv4/vs/run_estimation")) !== "0";
  const estimators = [...(observed?.servers.values() ?? [])].reduce((sum, { reals }) => sum + 1 + [...reals].length, 0);
  return {
    sets: sets ?? [],
    foreignTables: foreignTables ?? [],
    ...(observed !== undefined && {
      estimation: { isOn, estimators, kernelRelease },
      vipAddresses: [...observed.addresses.values()].filter((bindings) => hasBinding(bindings, "address")).length,
    }),
  };
}

/** `inspect` reports that the kernel lacks IPVS or sets. */
async function orUndefined<Result>(read: Promise<Result>): Promise<Result | undefined> {
  try {
    return await read;
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return undefined;
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
