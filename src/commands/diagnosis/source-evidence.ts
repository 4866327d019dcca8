import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Config } from "../../config/config.ts";
import type { CertificateEvidence, NodeEvidence } from "../../explain/doctor/evidence.ts";
import type { Logger } from "../../model/logger.ts";
import { systemClock } from "../../process/system-clock.ts";
import type { ClusterState } from "../../sources/source.ts";
import { apiAccess, hasSource, readCluster } from "../cluster-source.ts";
import { checkServer } from "./api-server-check.ts";

const NOTHING: ClusterState = { events: [], problems: [] };

/** The state of the source, and what was seen of its servers and certificates. */
export interface SourceEvidence extends Pick<NodeEvidence, "sourceFailure" | "servers" | "certificates"> {
  /** Empty if it cannot be read. */
  readonly cluster: ClusterState;
}

/** Reads the source, if there is one, its servers and its certificates. Never rejects because of them. */
export async function sourceEvidence(config: Config, logger: Logger): Promise<SourceEvidence> {
  if (!hasSource(config))
    return { cluster: NOTHING, sourceFailure: "", servers: [], certificates: await servingCertificate(config) };
  const access = await orFailure(apiAccess(config, logger), { servers: config.servers, clientCertificate: "" });
  const checked = await Promise.all(access.value.servers.map((url) => checkServer(url, systemClock)));
  const { value: cluster, failure } = await orFailure(readCluster(config, logger), NOTHING);
  return {
    cluster,
    sourceFailure: failure,
    servers: checked.map(({ server }) => server),
    certificates: [
      ...checked.flatMap(({ certificates }) => certificates),
      ...certificateOf(access.value.clientCertificate, clientName(config), "client"),
      ...(await servingCertificate(config)),
    ],
  };
}

async function orFailure<Value>(
  read: Promise<Value>,
  otherwise: Value,
): Promise<{ readonly value: Value; readonly failure: string }> {
  try {
    return { value: await read, failure: "" };
  } catch (error) {
    return { value: otherwise, failure: error instanceof Error ? error.message : String(error) };
  }
}

function clientName({ kubeconfig }: Config): string {
  return kubeconfig === "" ? "the client certificate" : `the client certificate of kubeconfig "${kubeconfig}"`;
}

async function servingCertificate({ metricsCertFile: file }: Config): Promise<readonly CertificateEvidence[]> {
  if (file === "") return [];
  const text = await readFile(file, "utf8").catch(() => "");
  return certificateOf(text, `the certificate of the metrics server "${file}"`, "metrics");
}

/** The first certificate of a PEM text; none if it has none that can be read. */
function certificateOf(pem: string, name: string, kind: CertificateEvidence["kind"]): readonly CertificateEvidence[] {
  if (!pem.includes("BEGIN CERTIFICATE")) return [];
  try {
    const { validToDate } = new X509Certificate(pem);
    return [{ name, kind, leftMs: validToDate.getTime() - systemClock.date().getTime() }];
  } catch {
    // The agent reports a file that it cannot use.
    return [];
  }
}
