import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { TLSSocket } from "node:tls";
import type { ServerEvidence } from "../../explain/doctor/evidence.ts";
import type { Readings } from "../../model/time/clock.ts";

/** How long a server may take. */
const ANSWER_MS = 5_000;

/**
 * Asks an API server for its version, without credentials: any answer shows that it can be reached, and has its clock. The
 * certificate is looked at and not verified; the agent verifies it.
 */
export function checkServer(url: string, clock: Readings): Promise<ServerEvidence> {
  return new Promise((resolve) => {
    const unknown = { url, clockAheadMs: undefined, certificateLeftMs: undefined };
    const target = new URL("/version", url);
    const begin = target.protocol === "http:" ? httpRequest : httpsRequest;
    const asked = begin(target, { rejectUnauthorized: false, timeout: ANSWER_MS, agent: false }, (response) => {
      const { socket, headers } = response;
      const serverMs = Date.parse(headers.date ?? "");
      const nowMs = clock.date().getTime();
      const validTo = socket instanceof TLSSocket ? Date.parse(socket.getPeerCertificate().valid_to) : Number.NaN;
      response.resume();
      resolve({
        url,
        failure: "",
        clockAheadMs: Number.isNaN(serverMs) ? undefined : nowMs - serverMs,
        certificateLeftMs: Number.isNaN(validTo) ? undefined : validTo - nowMs,
      });
    });
    asked.on("timeout", () => asked.destroy(new Error("no answer within 5 s")));
    asked.on("error", (error) => resolve({ ...unknown, failure: error.message }));
    asked.end();
  });
}
