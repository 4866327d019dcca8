import type { Config } from "../../config/config.ts";
import type { OccupiedPort } from "../../explain/doctor/evidence.ts";
import type { NodeEvidenceReader } from "../../kernel/node-evidence.ts";
import { addressPort } from "../../model/address.ts";
import { httpGet } from "./http-get.ts";

type PortConfig = Pick<Config, "metricsBindAddress" | "metricsCertFile">;

/**
 * Returns the address of the metrics server if another program answers there with other metrics. Undefined if nothing or an
 * agent answers, and if it cannot be told: the server may use TLS, or refuse to answer.
 */
export async function occupiedMetricsPort(
  { metricsBindAddress: bind, metricsCertFile }: PortConfig,
  reader: Pick<NodeEvidenceReader, "listener">,
): Promise<OccupiedPort | undefined> {
  if (bind === undefined || metricsCertFile !== "") return undefined;
  const answer = await httpGet({ ...reachable(bind), path: "/metrics" }).catch(() => undefined);
  if (answer === undefined || answer.status === 401 || answer.status === 403) return undefined;
  if (/^kube_ipvs_/m.test(answer.body)) return undefined;
  return { address: addressPort(bind.address, bind.port), owner: await reader.listener(bind.port) };
}

/** Host and port at which a server of this node answers that listens there. */
export function reachable({ address, port }: NonNullable<Config["metricsBindAddress"]>): {
  readonly host: string;
  readonly port: number;
} {
  const host: string = address;
  return { host: host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host, port };
}
