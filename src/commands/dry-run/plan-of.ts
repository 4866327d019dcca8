import type { Config } from "../../config/config.ts";
import { DesiredStateBuilder } from "../../desired/desired-state-builder.ts";
import type { IPAddress, IPFamily } from "../../model/address.ts";
import type { Scheduler } from "../../model/kernel/ipvs.ts";
import { NOTHING_DISCOVERED, nodeFacts, nodeIPsOf } from "../../node/node-facts.ts";
import { type HostInfo, staticRules } from "../../node/node-setup.ts";
import { apiServers } from "../../node/reserved-addresses.ts";
import type { ClusterState } from "../../sources/source.ts";
import { serversByAddress } from "../cluster-source.ts";
import type { NodePlan } from "./plan.ts";

/** The plan of a node whose kernel lacks some schedulers. Without `addresses`, the addresses are those of `--node-ip` or of the Node object. */
export function planOf(
  config: Config,
  cluster: ClusterState,
  machine: Pick<HostInfo, "families" | "liberalConntrack">,
  addresses?: readonly IPAddress[],
  missingSchedulers: readonly Scheduler[] = [],
): NodePlan {
  const { families } = machine;
  const state = stateOf(config, cluster, families, addresses, missingSchedulers);
  return {
    node: config.nodeName,
    families,
    desired: state.desired,
    binding: config.vipBinding,
    rules: staticRules(config, machine, state.table.node(config.nodeName)?.podCIDRs ?? []),
    rejected: [...cluster.problems, ...state.problems.all()],
  };
}

/** The desired state of a node; `addresses` as for `planOf`. */
export function stateOf(
  config: Config,
  { events }: ClusterState,
  families: readonly IPFamily[],
  addresses?: readonly IPAddress[],
  missingSchedulers: readonly Scheduler[] = [],
): DesiredStateBuilder {
  const state = new DesiredStateBuilder(nodeFacts(config, families, NOTHING_DISCOVERED));
  for (const event of events) state.apply(event);
  const node = state.table.node(config.nodeName);
  state.setFacts(
    nodeFacts(config, families, {
      ...NOTHING_DISCOVERED,
      nodes: state.table.nodes(),
      addresses: addresses ?? nodeIPsOf(config, node),
      missingSchedulers,
      apiServers: apiServers(state.table, serversByAddress(config.servers)),
    }),
  );
  state.advance(Number.POSITIVE_INFINITY);
  return state;
}
