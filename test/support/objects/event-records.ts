import type { EventRecord } from "../../../src/model/cluster/event-record.ts";

/** Something about a Service, which all nodes would tell. */
export function aboutService(name: string, note = "wrong"): EventRecord {
  const [namespace = "", rest = ""] = name.split("/");
  const regarding = { kind: "Service" as const, namespace, name: rest };
  return { type: "Warning", reason: "NotProxied", action: "Program", regarding, note };
}

/** Something about a node, which it alone tells. */
export function aboutNode(name: string, note = "wrong"): EventRecord {
  const regarding = { kind: "Node" as const, namespace: "", name };
  return { type: "Warning", reason: "NodePreparationFailed", action: "PrepareNode", regarding, note };
}
