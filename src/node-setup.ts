import type { Config } from "./config.ts";
import { masqueradeRules } from "./desired/masquerade.ts";
import { wantedSysctls } from "./desired/sysctls.ts";
import type { NodeSetup } from "./kernel/kernel.ts";
import type { IPFamily } from "./model/address.ts";

/** What the rules and sysctls depend on besides the configuration. */
export interface Machine {
  readonly families: readonly IPFamily[];
  readonly cpus: number;
  /** As /proc/sys/kernel/osrelease has it. */
  readonly kernelRelease: string;
}

/** What this configuration wants a machine to be before the first sync. */
export function nodeSetup(config: Config, machine: Machine): NodeSetup {
  return {
    families: machine.families,
    rules: staticRules(config, machine.families),
    sysctls: wantedSysctls({
      families: machine.families,
      strictARP: config.strictArp,
      conntrackMaxPerCore: config.conntrackMaxPerCore,
      conntrackMin: config.conntrackMin,
      cpus: machine.cpus,
      kernelRelease: machine.kernelRelease,
    }),
  };
}

/** The static iptables chains of each family. */
export function staticRules(config: Config, families: readonly IPFamily[]): NodeSetup["rules"] {
  return Object.fromEntries(
    families.map((family) => [
      family,
      masqueradeRules({
        family,
        masqueradeBit: config.masqueradeBit,
        masqueradeAll: config.masqueradeAll,
        clusterCIDRs: config.clusterCidrs,
        randomFully: true,
      }),
    ]),
  );
}
