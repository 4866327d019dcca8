import type { SelectedEndpoints } from "../../desired/service/endpoint-selector.ts";
import type { Frontend } from "../../desired/service/frontends.ts";
import { familyOf } from "../../model/address.ts";
import type { Service } from "../../model/cluster/service.ts";
import type { ClientRules } from "./service-view.ts";

/** The clients of a frontend: whose source address is replaced, and who is dropped, each with the rule that does it. */
export function explainClients(
  { kind, address }: Frontend,
  service: Service,
  { pods, masqueradeAll }: ClientRules,
  drops: SelectedEndpoints["drops"],
): readonly string[] {
  const match = pods[familyOf(address)];
  const lines = kind === "cluster-ip" ? insideClients(match, masqueradeAll) : outsideClients(service);
  return [...lines, ...sourceRanges(kind, service), ...dropped(drops, match)];
}

function insideClients(pods: string | undefined, masqueradeAll: boolean): readonly string[] {
  if (masqueradeAll) return ["all clients are masqueraded (--masquerade-all)"];
  if (pods === undefined)
    return ["processes of this node are masqueraded; pods cannot be recognised and keep their address"];
  return [`pods (${pods}) keep their address; all other clients are masqueraded`];
}

function outsideClients({ externalTrafficPolicy }: Service): readonly string[] {
  if (externalTrafficPolicy === "Cluster")
    return ["all clients are masqueraded: endpoints see an address of this node"];
  return ["clients outside keep their address; pods and processes of this node reach all endpoints of the cluster"];
}

function sourceRanges(kind: Frontend["kind"], { sourceRanges: ranges }: Service): readonly string[] {
  if (kind !== "load-balancer" || ranges === undefined || ranges.some(({ prefix }) => prefix === 0)) return [];
  const allowed = ranges.length === 0 ? "nobody" : `only clients in ${ranges.map(({ text }) => text).join(", ")}`;
  return [
    `${allowed} may use it (spec.loadBalancerSourceRanges): all others are dropped by chain KUBE-SOURCE-RANGES-FIREWALL`,
  ];
}

function dropped(drops: SelectedEndpoints["drops"], pods: string | undefined): readonly string[] {
  switch (drops) {
    case undefined:
      return [];
    case "KUBE-DROP":
      return ["all clients are dropped by chain KUBE-PROXY-FIREWALL (set KUBE-DROP): no endpoint is on this node"];
    case "KUBE-DROP-EXTERNAL":
      return [
        `${pods === undefined ? "all clients but processes of this node" : "clients outside"} are dropped by chain KUBE-PROXY-FIREWALL (set KUBE-DROP-EXTERNAL): no endpoint is on this node`,
      ];
  }
}
