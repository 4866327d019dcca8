import type { Ending } from "../recovery.ts";
import { endingReason, endingText } from "../recovery.ts";

/**
 * The cause of an ending and its cure for /readyz, which any client may read: it has no text of a server, a plugin or a
 * file, but the address of the server and the error of the system call; "" for a normal end. As "403: apply ...".
 */
export function endingCause(ending: Ending): string {
  if (endingText(ending) === "") return "";
  const what = ending.kind === "lost" ? ending.at || "unreachable" : endingReason(ending);
  const cure = endingCure(ending);
  return cure === "" ? what : `${what}: ${cure}`;
}

/** What to do about an ending; "" if nothing need be done. */
export function endingCure(ending: Ending): string {
  switch (ending.kind) {
    case "ended":
    case "silent":
    case "listed":
    case "current":
    case "moved":
      return "";
    case "behind":
      return "wait: another API server is used; if it stays, check the etcd of this one";
    case "refused":
      return refusalCure(ending.status.code);
    case "no-answer":
    case "stalled":
    case "overdue":
      return "check the load of the API server and its etcd, and proxies on the way";
    case "lost":
      return connectionCure(ending.at);
    case "no-credentials":
      return "check the token file, certificate or exec plugin that the log names";
    case "malformed":
      return "check that the address is an API server; the log has the beginning of the answer";
  }
}

const REFUSALS: Readonly<Record<number, string>> = {
  401: "check the token or the client certificate of the agent",
  403: "apply the ClusterRole of manifests/base/rbac.yaml",
  404: "check that the address is an API server",
  429: "wait: the API server is overloaded",
};

function refusalCure(code: number): string {
  return REFUSALS[code] ?? (code >= 500 ? "look at the log of the API server" : "see the log of the agent");
}

/** By what the error of a connection has in its text; the first that matches. */
const CONNECTIONS: readonly (readonly [RegExp, string])[] = [
  [/ECONNREFUSED/, "check that the API server runs, and that this is its address and port"],
  [
    /ENOTFOUND|EAI_AGAIN/,
    "check the name and the DNS of the node: it must work without Services, or use an address in --master",
  ],
  [
    /ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|no connection/,
    "check routes and firewalls from this node to the API server; its address must work without Services",
  ],
  [/CERT_HAS_EXPIRED|CERT_NOT_YET_VALID/, "renew the certificate of the API server, and check the clock of the node"],
  [/CERT|ISSUER|VERIFY|ALTNAME/, "check certificate-authority and the name of the server in the kubeconfig"],
];

function connectionCure(at: string): string {
  const known = CONNECTIONS.find(([pattern]) => pattern.test(at));
  return known?.[1] ?? "check the address and the network; the log has the cause";
}
