import { describe, expect, test } from "vitest";
import { testTls } from "../../../../support/api/api-server.ts";
import {
  CA_DATA,
  CA_FILE,
  FILES,
  NOTHING,
  PAIR,
  PAIR_DATA,
  PAIR_FILES,
} from "../../../../support/objects/kubeconfig-parts.ts";
import { type GivenKubeconfig, kubeconfigText, loaded } from "../../../../support/objects/kubeconfigs.ts";

const A = testTls("a");
const B = testTls("b");
const never = new AbortController().signal;
const base64 = (text: string) => Buffer.from(text).toString("base64");
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const basic = (login: string) => ({ authorization: `Basic ${base64(login)}` });
const GONE = { "client-certificate": "gone", "client-key": "gone" };

describe("a kubeconfig gives, as client-go reads it,", () => {
  test.each<readonly [string, GivenKubeconfig, object, object]>([
    ["a token", { user: { token: "t" } }, bearer("t"), {}],
    ["a token without the line break of its YAML block", { user: { token: "t\n" } }, bearer("t"), {}],
    [
      "a token file beside it, before the token",
      { user: { tokenFile: "token", token: "old" } },
      bearer("from file"),
      {},
    ],
    ["the token, while its token file does not exist", { user: { tokenFile: "gone", token: "t" } }, bearer("t"), {}],
    ['a token: tokenFile "" is ignored', { user: { tokenFile: "", token: "t" } }, bearer("t"), {}],
    ['nothing: tokenFile "" is ignored', { user: { tokenFile: "" } }, {}, {}],
    ["a password", { user: { username: "u", password: "p:é" } }, basic("u:p:é"), {}],
    ["a user name without a password", { user: { username: "u" } }, basic("u:"), {}],
    ["a user to impersonate", { user: { token: "t", as: "x" } }, { ...bearer("t"), "impersonate-user": "x" }, {}],
    [
      "a user to impersonate with groups, uid and extra",
      {
        user: {
          as: "x",
          "as-uid": "7",
          "as-groups": ["a", "b, c"],
          "as-user-extra": { scopes: ["view", "edit"], "acme.com/Teäm (1)": ["é".normalize("NFD").slice(0, 1)] },
        },
      },
      {
        "impersonate-user": "x",
        "impersonate-uid": "7",
        "impersonate-group": ["a", "b, c"],
        "impersonate-extra-scopes": ["view", "edit"],
        "impersonate-extra-acme.com%2fte%c3%a4m%20%281%29": ["e"],
      },
      {},
    ],
    ["certificates inline", { cluster: CA_DATA, user: PAIR_DATA }, {}, { ca: A.cert, ...PAIR }],
    ["certificates in files beside it", { cluster: CA_FILE, user: PAIR_FILES }, {}, { ca: A.cert, ...PAIR }],
    [
      "the authority's data, not its file, when both are given",
      { cluster: { ...CA_DATA, "certificate-authority": "gone" } },
      {},
      { ca: A.cert },
    ],
    ["the client's data, not its files, when both are given", { user: { ...GONE, ...PAIR_DATA } }, {}, PAIR],
    [
      "several authorities, without other text",
      {
        cluster: {
          "certificate-authority-data": base64(
            `# ${A.cert}\n-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n${B.cert}`,
          ),
        },
      },
      {},
      { ca: A.cert + B.cert },
    ],
    ["no client certificate: a key alone is ignored", { user: { "client-key-data": base64(A.key) } }, {}, {}],
    ["another name of the server", { cluster: { "tls-server-name": "kubernetes" } }, {}, { serverName: "kubernetes" }],
    ["no verification", { cluster: { "insecure-skip-tls-verify": true } }, {}, { verify: false }],
    [
      "the cluster's part: a context without user keeps CA and tls-server-name",
      {
        cluster: { ...CA_FILE, "tls-server-name": "kubernetes" },
        rest: { contexts: [{ name: "here", context: { cluster: "c" } }] },
      },
      {},
      { ca: A.cert, serverName: "kubernetes" },
    ],
    [
      "the cluster's part: a context without user keeps the insecure flag",
      {
        cluster: { "insecure-skip-tls-verify": true },
        rest: { contexts: [{ name: "here", context: { cluster: "c", user: "" } }] },
      },
      {},
      { verify: false },
    ],
    ["the same for an empty user", { rest: { users: [{ name: "u" }] } }, {}, {}],
  ])("%s", async (_, given, headers, tls) => {
    const { config } = await loaded(given, FILES);
    expect(config.servers.map(String)).toEqual(["https://api.test:6443/"]);
    expect(await config.credentials(never)).toEqual({ headers, tls: { ...NOTHING, ...tls } });
  });

  test.each([
    ["broken clusters", "clusters", [7, null, {}, { name: "x" }, { name: "y", cluster: { server: 7 } }]],
    [
      "broken users",
      "users",
      [{ name: "x", user: "root" }, { user: { token: "y" } }, { name: "z", user: { exec: 7 } }],
    ],
    ["broken contexts", "contexts", [{ name: "x", context: { user: "u" } }, "y", { name: "z" }]],
    ["an auth-provider", "users", [{ name: "x", user: { "auth-provider": { name: "gcp" } } }]],
    ["a proxy", "clusters", [{ name: "x", cluster: { server: "https://x", "proxy-url": "http://proxy" } }]],
  ])("what its current context names, whatever else it holds: %s", async (_, list, entries) => {
    const usual = {
      contexts: [{ name: "here", context: { cluster: "c", user: "u" } }],
      clusters: [{ name: "c", cluster: { server: "https://api.test" } }],
      users: [{ name: "u", user: { token: "t" } }],
    };
    const rest = { ...usual, [list]: [...entries, ...usual[list as keyof typeof usual]] };
    const { config } = await loaded({ rest });
    expect((await config.credentials(never)).headers).toEqual(bearer("t"));
  });

  test.each([
    [
      "anchors, aliases and merge keys",
      (text: string) => `x: &x {token: t}\n${text.replace("user: {}", "user: {<<: *x}")}`,
    ],
    ["a byte order mark", (text: string) => `\ufeff${text}`],
    ["other documents behind the first", (text: string) => `${text}---\na: [\n`],
  ])("what it says with %s", async (_, change) => {
    const text = change(kubeconfigText({ user: {} }));
    const { config } = await loaded(text);
    expect(config.servers.map(String)).toEqual(["https://api.test:6443/"]);
    expect((await config.credentials(never)).headers).toEqual(text.includes("*x") ? bearer("t") : {});
  });
});

test("given servers replace the server of a kubeconfig, and its credentials are kept", async () => {
  const servers = ["https://one:1", "https://[fd00::2]:2"];
  const { config } = await loaded({ user: { token: "t" } }, {}, { servers });
  expect(config.servers.map(String)).toEqual(["https://one:1/", "https://[fd00::2]:2/"]);
  expect((await config.credentials(never)).headers).toEqual(bearer("t"));
});
