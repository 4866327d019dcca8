import { execFileSync } from "node:child_process";
import { mkdir, rename, rm, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { testTls } from "../../../../support/api/api-server.ts";
import {
  configWorld,
  folderOf,
  type GivenKubeconfig,
  kubeconfigText,
  loaded,
  put,
} from "../../../../support/objects/kubeconfigs.ts";

const A = testTls("a");
const B = testTls("b");
const never = new AbortController().signal;
const base64 = (text: string) => Buffer.from(text).toString("base64");
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const basic = (login: string) => ({ authorization: `Basic ${base64(login)}` });
const NOTHING = { ca: "", cert: "", key: "", serverName: "", verify: true };
const FILES = { "pki/ca": A.cert, "pki/cert": A.cert, "pki/key": A.key, token: "from file\n", empty: "" };
const CA_DATA = { "certificate-authority-data": base64(A.cert) };
const CA_FILE = { "certificate-authority": "pki/ca" };
const PAIR_DATA = { "client-certificate-data": base64(A.cert), "client-key-data": base64(A.key) };
const PAIR_FILES = { "client-certificate": "pki/cert", "client-key": "pki/key" };
const GONE = { "client-certificate": "gone", "client-key": "gone" };
const PAIR = { cert: A.cert, key: A.key };

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

describe("the error about an invalid kubeconfig has file, object, field and value, and no secret:", () => {
  const CLUSTER = 'cluster "c" of kubeconfig "FILE"';
  const USER = 'user "u" of kubeconfig "FILE"';
  const named = (rest: Readonly<Record<string, unknown>>) => kubeconfigText({ rest });
  const cluster = (fields: object) => kubeconfigText({ cluster: { ...fields } });
  const user = (fields: object) => kubeconfigText({ user: { ...fields } });
  const exec = (fields: object) =>
    user({ exec: { apiVersion: "client.authentication.k8s.io/v1", command: "x", ...fields } });

  const ROWS: readonly (readonly [string, string])[] = [
    ["a: [", 'Cannot use kubeconfig "FILE": it is not valid YAML: bad indent at line 1, column 5'],
    ["a: SECRET: b", 'Cannot use kubeconfig "FILE": it is not valid YAML: block as implicit key at line 1, column 4'],
    [
      "a: *SECRET",
      'Cannot use kubeconfig "FILE": it is not valid YAML: Unresolved alias (the anchor must be set before the alias)',
    ],
    [
      "a: &a [*a]\ncurrent-context: *a",
      'Cannot use current-context of kubeconfig "FILE": must be a text; write numbers in quotes, is [[[[[[…]]]]]]',
    ],
    ["", 'Cannot use kubeconfig "FILE": it is not a kubeconfig: must be a map'],
    ["- 1\n", 'Cannot use kubeconfig "FILE": it is not a kubeconfig: must be a map'],
    ["apiVersion: v1\n", 'Cannot use kubeconfig "FILE": it has no current-context'],
    [named({ "current-context": "" }), 'Cannot use kubeconfig "FILE": it has no current-context'],
    [
      named({ "current-context": 7 }),
      'Cannot use current-context of kubeconfig "FILE": must be a text; write numbers in quotes, is 7',
    ],
    [
      named({ "current-context": "x" }),
      'Cannot find context "x" of kubeconfig "FILE": contexts has no entry with that name',
    ],
    [named({ contexts: "x" }), 'Cannot find context "here" of kubeconfig "FILE": contexts has no entry with that name'],
    [
      named({ contexts: [{ name: "here", context: { user: "u" } }] }),
      'Cannot use context "here" of kubeconfig "FILE": it has no cluster',
    ],
    [named({ clusters: [] }), `Cannot find ${CLUSTER}: clusters has no entry with that name`],
    [named({ users: null }), `Cannot find ${USER}: users has no entry with that name`],
    [named({ users: [{ name: "u" }, { name: "u" }] }), `Cannot use ${USER}: users has 2 entries with that name`],
    [named({ users: [{ name: "u", user: "SECRET" }] }), `Cannot use ${USER}: must be a map`],
    [cluster({ server: "" }), `Cannot use ${CLUSTER}: it has no server`],
    [cluster({ server: 7 }), `Cannot use server of ${CLUSTER}: must be a text; write numbers in quotes, is 7`],
    [
      cluster({ server: "api.test:port" }),
      `Cannot use server of ${CLUSTER}: "api.test:port" is not an https or http URL`,
    ],
    [
      cluster({ server: "ftp://x:SECRET@y" }),
      `Cannot use server of ${CLUSTER}: "ftp://…@y" is not an https or http URL`,
    ],
    [
      cluster({ server: "https://x:SECRET@y" }),
      `Cannot use server of ${CLUSTER}: it must not contain credentials: put them into the user`,
    ],
    [
      cluster({ "proxy-url": "http://u:SECRET@proxy:3128" }),
      `Cannot use proxy-url of ${CLUSTER}: proxies are not supported`,
    ],
    [
      cluster({ "insecure-skip-tls-verify": "yes" }),
      `Cannot use insecure-skip-tls-verify of ${CLUSTER}: must be true or false, is "yes"`,
    ],
    [
      cluster({ ...CA_DATA, "insecure-skip-tls-verify": true }),
      `Cannot use ${CLUSTER}: insecure-skip-tls-verify and certificate-authority cannot be used together`,
    ],
    [
      cluster({ "certificate-authority-data": "%%" }),
      `Cannot use certificate-authority-data of ${CLUSTER}: must be base64, is a string`,
    ],
    [
      cluster({ "certificate-authority-data": base64("no PEM") }),
      `Cannot use certificate-authority-data of ${CLUSTER}: it contains no certificate in PEM format`,
    ],
    [
      cluster({ "certificate-authority-data": base64(A.key) }),
      `Cannot use certificate-authority-data of ${CLUSTER}: it contains no certificate in PEM format`,
    ],
    [user({ token: 12345 }), `Cannot use token of ${USER}: must be a text; write numbers in quotes, is a number`],
    [
      user({ token: "a\nSECRET: b" }),
      `Cannot use token of ${USER}: it contains a line break or another character that a header cannot have`,
    ],
    [user({ token: "SECRET", username: "u" }), `Cannot use ${USER}: username and token cannot be used together`],
    [user({ "as-groups": ["a"] }), `Cannot use ${USER}: as-uid, as-groups and as-user-extra require the field as`],
    [
      user({ as: "x\r\ny: z" }),
      `Cannot use as of ${USER}: it contains a line break or another character that a header cannot have`,
    ],
    [user({ as: "x", "as-groups": "a" }), `Cannot use as-groups of ${USER}: must be a list of texts, is "a"`],
    [
      user({ ...PAIR_DATA, "client-key-data": undefined }),
      `Cannot use client-certificate of ${USER}: there is neither client-key nor client-key-data`,
    ],
    [
      user({ ...PAIR_DATA, "client-key-data": base64(B.key) }),
      `Cannot use client-certificate-data of ${USER}: it does not belong to the key of client-key-data of ${USER}`,
    ],
    [
      user({ ...PAIR_DATA, "client-key-data": base64("SECRET") }),
      `Cannot use client-key-data of ${USER}: it contains no unencrypted private key in PEM format (error:1E08010C:DECODER routines::unsupported)`,
    ],
    [
      user({ ...PAIR_DATA, "client-certificate-data": base64("x") }),
      `Cannot use client-certificate-data of ${USER}: it contains no certificate in PEM format (error:0480006C:PEM routines::no start line)`,
    ],
    ...["oidc", "gcp", "azure", "exec"].map((name): readonly [string, string] => [
      user({ "auth-provider": { name, config: { "id-token": "SECRET" } } }),
      `Cannot use auth-provider of ${USER}: "${name}" is not supported; use an exec plugin, a token file or client certificates`,
    ]),
    [exec({ command: "" }), `Cannot use exec of ${USER}: it has no command`],
    [
      exec({ apiVersion: "v1" }),
      `Cannot use apiVersion of exec of ${USER}: must be client.authentication.k8s.io/v1 or client.authentication.k8s.io/v1beta1, is "v1"`,
    ],
    [
      exec({ interactiveMode: "Always" }),
      `Cannot use interactiveMode of exec of ${USER}: must be Never or IfAvailable, is "Always"; a plugin cannot be interactive here`,
    ],
    [
      exec({ env: [{ name: "A", value: 7 }] }),
      `Cannot use value of env of exec of ${USER}: must be a text; write numbers in quotes, is a number`,
    ],
    [exec({ env: ["A=SECRET"] }), `Cannot use env of exec of ${USER}: an entry has no name`],
  ];

  test.each(ROWS.map(([text, message]) => [message, text] as const))("%s", async (message, text) => {
    const folder = await folderOf({ config: text });
    const path = join(folder, "config");
    const error = await configWorld()
      .load({ kubeconfig: path })
      .then(String, (cause: Error) => cause.message);
    expect(error.replaceAll(path, "FILE")).toBe(message);
    expect(error).not.toContain("SECRET");
  });

  test("a file that is nested too deeply", async () => {
    await expect(loaded("[".repeat(2000))).rejects.toThrow(
      /^Cannot use kubeconfig ".*": it is not valid YAML: resource exhaustion/,
    );
  });

  test.each([
    ["that does not exist", async () => {}, "ENOENT: no such file or directory"],
    ["that is a folder", (path: string) => mkdir(path), "it is not a regular file"],
    ["that is a FIFO", async (path: string) => void execFileSync("mkfifo", [path]), "it is not a regular file"],
    ["that is huge", (path: string) => writeFile(path, " ".repeat(5_000_000)), "it has 5000000 bytes"],
  ])("a file %s", async (_, make, reason) => {
    const path = join(await folderOf(), "config");
    await make(path);
    await expect(configWorld().load({ kubeconfig: path })).rejects.toThrow(
      `Cannot read kubeconfig "${path}": ${reason}`,
    );
  });
});

describe("files that a kubeconfig names", () => {
  const user = { user: { tokenFile: "token" } };
  const failure = (config: { credentials(signal: AbortSignal): Promise<unknown> }) =>
    config.credentials(never).then(String, (error: Error) => error.message);

  test.each<readonly [string, GivenKubeconfig, Readonly<Record<string, string>>, string]>([
    [
      "no authority",
      { cluster: CA_FILE },
      {},
      'Cannot read certificate-authority "DIR/pki/ca" of cluster "c" of kubeconfig "DIR/config": ENOENT: no such file or directory, open \'DIR/pki/ca\'',
    ],
    [
      "an authority that is no PEM",
      { cluster: CA_FILE },
      { "pki/ca": "x" },
      'Cannot use certificate-authority "DIR/pki/ca" of cluster "c" of kubeconfig "DIR/config": it contains no certificate in PEM format',
    ],
    [
      "a certificate and a key that do not match",
      { user: PAIR_FILES },
      { "pki/cert": A.cert, "pki/key": B.key },
      'Cannot use client-certificate "DIR/pki/cert" of user "u" of kubeconfig "DIR/config": it does not belong to the key of client-key "DIR/pki/key" of user "u" of kubeconfig "DIR/config"',
    ],
    [
      "a key that is no PEM",
      { user: PAIR_FILES },
      { "pki/cert": A.cert, "pki/key": "" },
      'Cannot use client-key "DIR/pki/key" of user "u" of kubeconfig "DIR/config": it contains no unencrypted private key in PEM format',
    ],
    [
      "an empty token",
      user,
      { token: "\n" },
      'Cannot use tokenFile "DIR/token" of user "u" of kubeconfig "DIR/config": it is empty',
    ],
    ["no token", user, {}, 'Cannot read tokenFile "DIR/token" of user "u" of kubeconfig "DIR/config": ENOENT'],
    [
      "two lines as a token",
      user,
      { token: "a\nb" },
      'Cannot use tokenFile "DIR/token" of user "u" of kubeconfig "DIR/config": it contains a line break',
    ],
  ])(
    "and that cannot be used are an error with file and field until they can be used: %s",
    async (_, given, files, message) => {
      const { config, folder } = await loaded(given, files);
      expect((await failure(config)).replaceAll(folder, "DIR")).toContain(message);
      for (const [name, text] of Object.entries(FILES)) await put(join(folder, name), text);
      await config.credentials(never);
    },
  );

  test("a token file that becomes empty or is deleted leaves the last token in use, and is logged once", async () => {
    const { config, folder, clock, warnings } = await loaded(user, FILES);
    await config.credentials(never);
    for (const change of [() => put(join(folder, "token"), ""), () => rm(join(folder, "token"))]) {
      await change();
      for (let round = 0; round < 3; round++) {
        await clock.advance(61_000);
        expect((await config.credentials(never)).headers).toEqual(bearer("from file"));
      }
    }
    expect(warnings.map((text) => text.replaceAll(folder, "DIR"))).toEqual([
      expect.stringMatching(/^cannot renew credentials.*tokenFile .*it is empty/),
      expect.stringMatching(/^cannot renew credentials.*tokenFile .*ENOENT/),
    ]);
    await put(join(folder, "token"), "new");
    await clock.advance(61_000);
    expect((await config.credentials(never)).headers).toEqual(bearer("new"));
  });

  test("a certificate without its key leaves the last pair in use", async () => {
    const { config, folder, warnings } = await loaded({ user: PAIR_FILES }, FILES);
    await config.credentials(never);
    await put(join(folder, "pki/cert"), B.cert);
    expect((await config.credentials(never)).tls).toMatchObject(PAIR);
    await put(join(folder, "pki/key"), B.key.slice(0, 40));
    expect((await config.credentials(never)).tls).toMatchObject(PAIR);
    await put(join(folder, "pki/key"), B.key);
    expect((await config.credentials(never)).tls).toMatchObject(B);
    expect(warnings).toHaveLength(2);
  });

  test("an authority that is only partly written leaves the last one in use", async () => {
    const { config, folder } = await loaded({ cluster: CA_FILE }, FILES);
    await config.credentials(never);
    await put(join(folder, "pki/ca"), B.cert.slice(0, 100));
    expect((await config.credentials(never)).tls.ca).toBe(A.cert);
    await put(join(folder, "pki/ca"), B.cert);
    expect((await config.credentials(never)).tls.ca).toBe(B.cert);
  });
});

describe("a kubeconfig that changes", () => {
  const token = async (config: { credentials(signal: AbortSignal): Promise<{ headers: object }> }) =>
    (await config.credentials(never)).headers;

  test("is read again", async () => {
    const { config, path } = await loaded({ user: { token: "one" } });
    await writeFile(path, kubeconfigText({ user: { token: "two" } }));
    await utimes(path, new Date(), new Date(Date.now() + 5000));
    expect(await token(config)).toEqual(bearer("two"));
  });

  test("is read again when another file of the same age and length replaces it", async () => {
    const { config, path } = await loaded({ user: { token: "one" } });
    const old = new Date(1_000_000_000_000);
    await utimes(path, old, old);
    await config.credentials(never);
    await writeFile(`${path}.new`, kubeconfigText({ user: { token: "two" } }));
    await utimes(`${path}.new`, old, old);
    await rename(`${path}.new`, path);
    expect(await token(config)).toEqual(bearer("two"));
  });

  test("and is then invalid or deleted leaves its former content in use until it is valid again", async () => {
    const { config, path, warnings } = await loaded({ user: { token: "one" } });
    await writeFile(path, "current-context: [");
    expect(await token(config)).toEqual(bearer("one"));
    await rm(path);
    expect(await token(config)).toEqual(bearer("one"));
    await writeFile(path, kubeconfigText({ user: { token: "three" } }));
    expect(await token(config)).toEqual(bearer("three"));
    expect(warnings).toEqual([
      expect.stringContaining("it is not valid YAML: bad indent at line 1"),
      expect.stringContaining("ENOENT"),
    ]);
  });
});

test("given servers replace the server of a kubeconfig, and its credentials are kept", async () => {
  const servers = ["https://one:1", "https://[fd00::2]:2"];
  const { config } = await loaded({ user: { token: "t" } }, {}, { servers });
  expect(config.servers.map(String)).toEqual(["https://one:1/", "https://[fd00::2]:2/"]);
  expect((await config.credentials(never)).headers).toEqual(bearer("t"));
});

describe("in the cluster", () => {
  const ACCOUNT = "var/run/secrets/kubernetes.io/serviceaccount";

  async function pod(env: Readonly<Record<string, string>> = {}) {
    const root = await folderOf({ [`${ACCOUNT}/token`]: "projected\n", [`${ACCOUNT}/ca.crt`]: A.cert });
    const variables = { KUBERNETES_SERVICE_HOST: "10.96.0.1", KUBERNETES_SERVICE_PORT: "443", ...env };
    return { ...configWorld(), root, access: { root: `${root}/`, env: variables } };
  }

  test.each([
    ["10.96.0.1", "443", "https://10.96.0.1/"],
    ["fd00::1", "443", "https://[fd00::1]/"],
    ["10.96.0.1", "80", "https://10.96.0.1:80/"],
    ["10.96.0.1", "8080", "https://10.96.0.1:8080/"],
    ["10.96.0.1", "8001", "https://10.96.0.1:8001/"],
  ])("the API server at %s, port %s, is reached by TLS with the service account", async (host, port, url) => {
    const { access, load } = await pod({ KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port });
    const config = await load(access);
    expect(config.servers.map(String)).toEqual([url]);
    expect(await config.credentials(never)).toEqual({ headers: bearer("projected"), tls: { ...NOTHING, ca: A.cert } });
  });

  test("given servers are used instead, with the service account", async () => {
    const { access, load } = await pod();
    const config = await load({ ...access, env: {}, servers: ["https://one:1", "https://two:2"] });
    expect(config.servers.map(String)).toEqual(["https://one:1/", "https://two:2/"]);
    expect(await config.credentials(never)).toEqual({ headers: bearer("projected"), tls: { ...NOTHING, ca: A.cert } });
  });

  test("a rotated token is used after a minute, or at once when the old one was rejected; a new authority at once", async () => {
    const { access, root, load, clock } = await pod();
    const config = await load(access);
    const first = await config.credentials(never);
    await put(`${root}/${ACCOUNT}/token`, "rotated");
    await put(`${root}/${ACCOUNT}/ca.crt`, B.cert);
    expect(await config.credentials(never)).toMatchObject({ headers: bearer("projected"), tls: { ca: B.cert } });
    await clock.advance(61_000);
    expect((await config.credentials(never)).headers).toEqual(bearer("rotated"));
    await put(`${root}/${ACCOUNT}/token`, "again");
    await config.renew(first);
    // A request was rejected with a token that is no longer in use.
    expect((await config.credentials(never)).headers).toEqual(bearer("rotated"));
    await config.renew(await config.credentials(never));
    expect((await config.credentials(never)).headers).toEqual(bearer("again"));
  });

  test("a missing token is a temporary error", async () => {
    const { access, root, load } = await pod();
    const config = await load(access);
    await rm(`${root}/${ACCOUNT}/token`);
    await expect(config.credentials(never)).rejects.toThrow(
      /^Cannot read token of the service account ".*\/token": ENOENT/,
    );
    await put(`${root}/${ACCOUNT}/token`, "back");
    expect((await config.credentials(never)).headers).toEqual(bearer("back"));
  });

  test.each([{}, { KUBERNETES_SERVICE_HOST: "10.96.0.1" }, { KUBERNETES_SERVICE_PORT: "443" }])(
    "outside of a cluster no server is found: %j",
    async (env) => {
      await expect(configWorld().load({ root: await folderOf(), env })).rejects.toThrow(
        "KUBERNETES_SERVICE_PORT is not set",
      );
    },
  );
});

test("a given server needs nothing else", async () => {
  const config = await configWorld().load({ servers: ["https://api.test"] });
  expect(await config.credentials(never)).toEqual({ headers: {}, tls: NOTHING });
});
