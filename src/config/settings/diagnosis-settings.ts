import { parseBoolean, parseText } from "../setting-values.ts";
import { AGENT, ASKING, type Settings } from "./setting.ts";
import { parseServiceTarget, parseTraceFrom, parseTraceTo } from "./targets.ts";

type Key = "strict" | "stateSocket" | "page" | "service" | "traceFrom" | "traceTo";

/** What the running agent can be asked, and what the commands of diagnosis look at. */
export const DIAGNOSIS_SETTINGS: Settings<Key> = {
  strict: {
    flag: "strict",
    type: "boolean",
    fallback: "false",
    help: "Exit code 2 if objects have problems, for checks of manifests before they are applied",
    commands: ["plan"],
    parse: parseBoolean,
  },
  stateSocket: {
    flag: "state-socket",
    path: "kubeIpvs.stateSocket",
    type: "string",
    placeholder: "PATH",
    fallback: "/run/kube-ipvs/state.sock",
    help: 'Unix socket at which the running agent answers explain and status; only root may connect; "" for none',
    commands: ASKING,
    parse: parseText,
  },
  page: {
    flag: "status-page",
    path: "kubeIpvs.statusPage",
    type: "boolean",
    fallback: "false",
    help: "Serve a page for browsers at /ui of the metrics server: Services, virtual and real servers, connections, syncs and problems, live and read only",
    commands: AGENT,
    parse: parseBoolean,
  },
  service: {
    flag: "service",
    type: "string",
    placeholder: "NAMESPACE/SERVICE[:PORT]",
    argumentOf: "explain",
    fallback: "",
    help: "The Service to explain, and the number or name of one of its ports. The argument without a flag is the same",
    commands: ["explain"],
    parse: parseServiceTarget,
  },
  traceFrom: {
    flag: "from",
    type: "string",
    placeholder: "IP|pod|node|outside",
    fallback: "pod",
    help: "Where the traced packet comes from: an address, a pod, a process of this node, or a machine outside the cluster",
    commands: ["trace"],
    parse: parseTraceFrom,
  },
  traceTo: {
    flag: "to",
    type: "string",
    placeholder: "IP:PORT/PROTOCOL",
    required: true,
    fallback: "",
    help: "Where the traced packet goes to, as 10.96.0.1:80/TCP or [fd00::1]:53/UDP",
    commands: ["trace"],
    parse: parseTraceTo,
  },
};
