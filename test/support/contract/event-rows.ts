/** An Event of kube-proxy 1.36, as kube-ipvs writes it. */
export interface EventRow {
  readonly reason: string;
  readonly type: "Normal" | "Warning";
  readonly action: string;
  readonly regarding: "Node" | "Service";
  readonly namespace: string;
  readonly note: RegExp;
}

/** The controller and the action of the start have the name of this program; reasons, types and objects are kube-proxy's. */
export const EVENT_ROWS: readonly EventRow[] = [
  {
    reason: "Starting",
    type: "Normal",
    action: "StartKubeIpvs",
    regarding: "Node",
    namespace: "default",
    note: /^kube-ipvs \S+$/,
  },
  {
    reason: "FailedToStartServiceHealthcheck",
    type: "Warning",
    action: "Listen",
    regarding: "Service",
    namespace: "shop",
    note: /^spec\.healthCheckNodePort "32199": cannot listen: .*EADDRINUSE/,
  },
  {
    reason: "FailedToStartProxierHealthcheck",
    type: "Warning",
    action: "Listen",
    regarding: "Node",
    namespace: "default",
    note: /EADDRNOTAVAIL.* 192\.0\.2\.1:10256/,
  },
  {
    reason: "FailedToStartMetricServer",
    type: "Warning",
    action: "Listen",
    regarding: "Node",
    namespace: "default",
    note: /EADDRNOTAVAIL.* 192\.0\.2\.1:10249/,
  },
];

/** Events of kube-proxy that kube-ipvs never writes: it does not deprecate itself. */
export const ABSENT_EVENTS = ["IPVSDeprecation"];
