import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { TLSSocket } from "node:tls";
import type { CertificateEvidence, ServerEvidence } from "../../explain/doctor/evidence.ts";
import type { Readings } from "../../model/time/clock.ts";
import { reasonOf } from "../../sources/api/transport/reason.ts";

/** How long a server may take. */
const ANSWER_MS = 5_000;

/** What a server has answered, and the certificate that it has presented. */
export interface CheckedServer {
  readonly server: ServerEvidence;
  readonly certificates: readonly CertificateEvidence[];
}

/**
 * Asks an API server for its version, without credentials: any answer shows that it can be reached, and has its clock. The
 * certificate is looked at and not verified; the agent verifies it.
 */
export function checkServer(url: string, clock: Readings): Promise<CheckedServer> {
  return new Promise((resolve) => {
    const target = new URL("/version", url);
    const begin = target.protocol === "http:" ? httpRequest : httpsRequest;
    const asked = begin(target, { rejectUnauthorized: false, timeout: ANSWER_MS, agent: false }, (response) => {
      const { socket, headers } = response;
      const serverMs = Date.parse(headers.date ?? "");
      const nowMs = clock.date().getTime();
      const validTo = socket instanceof TLSSocket ? Date.parse(socket.getPeerCertificate().valid_to) : Number.NaN;
      const { remoteAddress: host = "", remotePort: port } = socket;
      response.resume();
      resolve({
        server: {
          url,
          failure: "",
          address: `${host.includes(":") ? `[${host}]` : host}:${port}`,
          clockAheadMs: Number.isNaN(serverMs) ? undefined : nowMs - serverMs,
        },
        certificates: Number.isNaN(validTo)
          ? []
          : [{ name: `the certificate of ${url}`, kind: "server", leftMs: validTo - nowMs }],
      });
    });
    asked.on("timeout", () => asked.destroy(new Error("no answer within 5 s")));
    asked.on("error", (error) =>
      resolve({ server: { url, failure: reasonOf(error), address: "", clockAheadMs: undefined }, certificates: [] }),
    );
    asked.end();
  });
}
