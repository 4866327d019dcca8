import type { IPFamily } from "../../model/address.ts";
import { KernelError } from "../../model/kernel/kernel-error.ts";
import type { NftablesClient } from "./client.ts";

/** The table of kube-proxy's nftables mode, in each family. */
const NAME = "kube-proxy";

/** The tables of kube-proxy's nftables mode. A failure is not reported: these tables may stay, as in kube-proxy. */
export class KubeProxyTables {
  readonly #client: Pick<NftablesClient, "deleteTable" | "hasTable">;
  /** Whether they were removed. */
  #areRemoved = false;

  constructor(client: Pick<NftablesClient, "deleteTable" | "hasTable">) {
    this.#client = client;
  }

  /** Removes the tables. One that came back shows that a kube-proxy works here. */
  async remove(families: readonly IPFamily[]) {
    const changed: string[] = [];
    for (const family of families) {
      const result = await this.#client.deleteTable(family, NAME).catch(unreachable);
      if (result === "deleted") changed.push(`removed nftables table "${NAME}" of ${family}`);
    }
    const otherProxies = changed.length > 0 && this.#areRemoved ? ["kube-proxy in nftables mode"] : [];
    this.#areRemoved = true;
    return { changed, otherProxies };
  }

  /** Describes what `remove` would remove. */
  async differences(families: readonly IPFamily[]): Promise<readonly string[]> {
    const found: string[] = [];
    for (const family of families)
      if (await this.#client.hasTable(family, NAME).catch(unreachable))
        found.push(`kube-proxy's nftables mode has left table "${NAME}" of ${family}`);
    return found;
  }
}

/** A kernel that cannot be reached, as at the end of the agent, is not the failure of a step that may be left out. */
function unreachable(error: unknown): undefined {
  if (!(error instanceof KernelError)) throw error;
}
