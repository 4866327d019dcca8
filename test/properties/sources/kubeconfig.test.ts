import type { RequestOptions } from "node:https";
import { KubeConfig } from "@kubernetes/client-node";
import fc from "fast-check";
import { expect, test } from "vitest";
import { stringify } from "yaml";
import { type AccessConfig, kubeconfigAccess } from "../../../src/sources/api/access/access-config.ts";
import { testTls } from "../../support/api/api-server.ts";

const { STRESS = "1" } = process.env;
const numRuns = 1000 * Number(STRESS);
const base64 = (text: string) => Buffer.from(text).toString("base64");

/** In every field of a kubeconfig that is secret, and in some that are not. */
const SECRET = "hunter2";

const FIELDS = [
  ...["server", "certificate-authority", "certificate-authority-data", "insecure-skip-tls-verify", "tls-server-name"],
  ...["proxy-url", "extensions", "token", "tokenFile", "password", "client-certificate-data", "client-key-data"],
  ...["client-certificate", "client-key", "as", "as-uid", "as-groups", "as-user-extra", "exec", "auth-provider"],
  ...["command", "apiVersion", "args", "env", "name", "value", "interactiveMode", "__proto__"],
];

const { value: hostile } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.constantFrom<unknown>(
      "",
      "a",
      "https://x",
      "c",
      "u",
      7,
      0,
      true,
      false,
      null,
      "-",
      "client.authentication.k8s.io/v1",
    ),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...FIELDS), tie("value"), { maxKeys: 4 }),
  ),
}));

/** Kubeconfigs with secrets. No error shows them, even if they or other fields are invalid. */
const secrets = fc.record(
  {
    token: fc.constantFrom<unknown>(SECRET, `${SECRET}\nx: y`, [SECRET], { a: SECRET }),
    password: fc.constantFrom<unknown>(SECRET, [SECRET]),
    "client-key-data": fc.constantFrom<unknown>(SECRET, base64(SECRET), { a: SECRET }),
    "client-certificate-data": fc.constantFrom<unknown>(base64(SECRET), [SECRET]),
    "auth-provider": fc.constantFrom<unknown>({ name: "oidc", config: { "id-token": SECRET } }),
  },
  { requiredKeys: [] },
);
const field = fc.dictionary(fc.constantFrom(...FIELDS), hostile, { maxKeys: 6 });

function document(cluster: unknown, user: unknown, rest: object = {}): object {
  return {
    "current-context": "x",
    contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
    clusters: [{ name: "c", cluster }],
    users: [{ name: "u", user }],
    ...rest,
  };
}

/** The result, or the message of the error. */
function attempt(text: string): AccessConfig | string {
  try {
    return kubeconfigAccess("/etc/kubeconfig", text);
  } catch (error) {
    return error instanceof Error ? error.message : `no error: ${String(error)}`;
  }
}

test("any kubeconfig is read or rejected with its name, and no secret is shown", () => {
  fc.assert(
    fc.property(field, field, secrets, fc.option(hostile, { nil: undefined }), (cluster, user, secret, rest) => {
      const broken = rest === undefined ? {} : { contexts: rest };
      const whole = document({ server: "https://x", ...cluster }, { ...user, ...secret }, broken);
      const outcome = attempt(stringify(whole, { aliasDuplicateObjects: false }));
      if (typeof outcome !== "string") return;
      expect(outcome).toMatch(/^Cannot (use|find) .*kubeconfig "\/etc\/kubeconfig"/);
      expect(outcome).not.toContain(SECRET);
    }),
    { numRuns },
  );
});

test("any text is read as a kubeconfig or rejected with its name, and nothing of it is shown", () => {
  const piece = fc.constantFrom(
    "a",
    ":",
    " ",
    "\n",
    "-",
    "[",
    "{",
    "]",
    "}",
    "&a",
    "*a",
    "<<",
    '"',
    "'",
    "|",
    "%",
    "\t",
    SECRET,
  );
  const text = fc.array(piece, { maxLength: 30 }).map((pieces) => pieces.join(""));
  fc.assert(
    fc.property(text, (given) => {
      const outcome = attempt(given);
      expect(outcome).toMatch(/^Cannot use .*kubeconfig "\/etc\/kubeconfig"/);
      expect(outcome).not.toContain(SECRET);
    }),
    { numRuns },
  );
});

/** Kubeconfigs that client-node and client-go read alike: inline data, and one kind of credentials. */
const login = fc.oneof(
  fc.constant({}),
  fc.record({ token: fc.stringMatching(/^[A-Za-z0-9._-]{1,40}$/) }),
  fc.record({ username: fc.stringMatching(/^[a-z]{1,9}$/), password: fc.string() }),
);
const impersonation = fc.record({ as: fc.stringMatching(/^[a-z][a-z0-9:@.-]{0,20}$/) }, { requiredKeys: [] });
const A = testTls("a");
const certificate = fc.constantFrom(
  {},
  { "client-certificate-data": base64(A.cert), "client-key-data": base64(A.key) },
);
const trust = fc.constantFrom(
  {},
  { "certificate-authority-data": base64(A.cert) },
  { "insecure-skip-tls-verify": true },
);
const serverName = fc.record({ "tls-server-name": fc.domain() }, { requiredKeys: [] });
const server = fc.record({ server: fc.webUrl({ validSchemes: ["https"] }).map((url) => url.replace(/\/+$/, "")) });

async function byClientNode(text: string): Promise<RequestOptions> {
  const config = new KubeConfig();
  config.loadFromString(text);
  const options: RequestOptions = {};
  await config.applyToHTTPSOptions(options);
  return options;
}

test("a kubeconfig is read as by client-node if that agrees with client-go", async () => {
  await fc.assert(
    fc.asyncProperty(
      server,
      trust,
      serverName,
      login,
      impersonation,
      certificate,
      async (at, ca, name, who, as, pair) => {
        const text = stringify(document({ ...at, ...ca, ...name }, { ...who, ...as, ...pair }));
        const ours = attempt(text);
        if (typeof ours === "string") throw new Error(ours);
        const theirs = await byClientNode(text);
        const basic = theirs.auth === undefined || theirs.auth === null ? "" : `Basic ${base64(theirs.auth)}`;
        const headers = Object.entries(theirs.headers ?? {}).map(([key, value]) => [key.toLowerCase(), value]);
        const { authorization = basic, ...rest } = Object.fromEntries(headers);
        expect({
          server: ours.server,
          authorization: ours.authorization,
          headers: ours.headers,
          ca: ours.authority?.inline,
          cert: ours.clientCert?.inline,
          key: ours.clientKey?.inline,
          serverName: ours.tlsServerName,
          verify: ours.verify,
        }).toEqual({
          server: at.server,
          authorization,
          headers: rest,
          ca: textOf(theirs.ca),
          cert: textOf(theirs.cert),
          key: textOf(theirs.key),
          serverName: theirs.servername ?? "",
          verify: theirs.rejectUnauthorized !== false,
        });
      },
    ),
    { numRuns: 300 * Number(STRESS) },
  );
});

function textOf(pem: unknown): string | undefined {
  return pem === undefined || pem === null ? undefined : String(pem);
}
