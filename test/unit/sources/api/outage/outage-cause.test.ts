import { expect, test } from "vitest";
import { endingCause, endingCure } from "../../../../../src/sources/api/outage/outage-cause.ts";
import type { Ending } from "../../../../../src/sources/api/recovery.ts";
import { systemErrorOf } from "../../../../../src/sources/api/transport/reason.ts";

const SECRET = "SECRET";
const refused = (code: number): Ending => ({
  kind: "refused",
  status: { code, reason: SECRET, message: SECRET, retryAfterMs: 0, expired: false, tooNew: false },
  inStream: false,
});
const lost = (at: string): Ending => ({ kind: "lost", reason: SECRET, at });

test.each<[Ending, string]>([
  [
    lost("https://10.0.0.1:6443: connect ECONNREFUSED 10.0.0.1:6443"),
    "https://10.0.0.1:6443: connect ECONNREFUSED 10.0.0.1:6443: check that the API server runs, and that this is its address and port",
  ],
  [
    lost("https://api.example: getaddrinfo EAI_AGAIN api.example"),
    "https://api.example: getaddrinfo EAI_AGAIN api.example: check the name and the DNS of the node: it must work without Services, or use an address in --master",
  ],
  [
    lost("https://10.0.0.1: no connection in time"),
    "https://10.0.0.1: no connection in time: check routes and firewalls from this node to the API server; its address must work without Services",
  ],
  [
    lost("https://10.0.0.1: CERT_HAS_EXPIRED"),
    "https://10.0.0.1: CERT_HAS_EXPIRED: renew the certificate of the API server, and check the clock of the node",
  ],
  [
    lost("https://10.0.0.1: DEPTH_ZERO_SELF_SIGNED_CERT"),
    "https://10.0.0.1: DEPTH_ZERO_SELF_SIGNED_CERT: check certificate-authority and the name of the server in the kubeconfig",
  ],
  [lost(""), "unreachable: check the address and the network; the log has the cause"],
  [refused(401), "401: check the token or the client certificate of the agent"],
  [refused(403), "403: apply the ClusterRole of manifests/base/rbac.yaml"],
  [refused(503), "503: look at the log of the API server"],
  [
    { kind: "no-credentials", reason: SECRET },
    "no-credentials: check the token file, certificate or exec plugin that the log names",
  ],
  [{ kind: "no-answer" }, "no-answer: check the load of the API server and its etcd, and proxies on the way"],
])("%j is told with its cure and without the text of others", (ending, cause) => {
  expect(endingCause(ending)).toBe(cause);
  expect(cause.endsWith(endingCure(ending))).toBe(true);
});

const systemError = (fields: object) => Object.assign(new Error(SECRET), fields);

test.each<[unknown, string]>([
  [
    systemError({ syscall: "connect", code: "ECONNREFUSED", address: "10.0.0.1", port: 6443 }),
    "connect ECONNREFUSED 10.0.0.1:6443",
  ],
  [
    systemError({ syscall: "getaddrinfo", code: "ENOTFOUND", hostname: "api.example" }),
    "getaddrinfo ENOTFOUND api.example",
  ],
  [systemError({ code: "CERT_HAS_EXPIRED" }), "CERT_HAS_EXPIRED"],
  [
    new AggregateError([
      systemError({ syscall: "connect", code: "ECONNREFUSED", address: "::1", port: 1 }),
      systemError({ syscall: "connect", code: "ECONNREFUSED", address: "127.0.0.1", port: 1 }),
    ]),
    "connect ECONNREFUSED ::1:1, connect ECONNREFUSED 127.0.0.1:1",
  ],
  ["no connection in time", "no connection in time"],
])("the error of the system in %s is %s", (error, text) => {
  expect(systemErrorOf(error)).toBe(text);
});
