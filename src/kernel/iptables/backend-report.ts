import type { IPFamily } from "../../model/address.ts";
import type { IptablesBackend } from "../../model/kernel/rules.ts";
import type { BackendReport } from "../kernel.ts";
import type { BackendState } from "./backend.ts";
import type { FoundIptables } from "./find.ts";
import { type ForeignChains, foreignChains, type OwnChains } from "./foreign-chains.ts";
import { programName } from "./programs.ts";

/**
 * Returns what an operator should know of the backends: rules of other programs in the one that is not in use, because
 * the kernel applies the rules of both, and what could not be read. The texts have no numbers of rules, which change all
 * the time.
 */
export function backendReport({ tools, reason, other, hindrance }: FoundIptables, own: OwnChains): BackendReport {
  const used = tools.backend;
  const families = [...other.saved].map(([family, text]) => ({ family, found: foreignChains(text, own) }));
  return {
    used,
    reason,
    otherRules: new Map(families.map(({ family, found }) => [family, found.rules])),
    warnings: [
      ...(hindrance === ""
        ? []
        : [`iptables: this node uses ${other.backend}, kube-ipvs stays with ${used}: ${hindrance}`]),
      ...families
        .filter(({ found }) => found.names.length > 0)
        .map(({ family, found }) => mixed(used, other, family, found)),
      // Before 1.8 there are no programs of nft. Tables of legacy that cannot be read are reported: the kernel has them.
      ...(other.backend === "nft" && !other.isInstalled
        ? []
        : [...other.unread].map(([family, text]) => unread(other, family, text))),
    ],
  };
}

function mixed(used: IptablesBackend, { backend }: BackendState, family: IPFamily, { names }: ForeignChains): string {
  const program = programName(`-${backend}`, family);
  const chains = names.map((name) => `"${name}"`).join(", ");
  return `${program} has rules of other programs besides those in ${used}, which kube-ipvs uses: chains ${chains}. The kernel applies both: let all programs of this node use one backend`;
}

function unread({ backend }: BackendState, family: IPFamily, text: string): string {
  return `Cannot read the rules of ${programName(`-${backend}`, family)}, which the kernel applies besides those of kube-ipvs: ${text}`;
}
