import { chmod, mkdir, mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { stringify } from "yaml";
import { ApiServerConfig, type ClusterAccess } from "../../../../src/watch/kubeconfig.ts";

interface Given {
  readonly cluster?: Readonly<Record<string, unknown>>;
  readonly user?: Readonly<Record<string, unknown>>;
}

async function folder(files: Readonly<Record<string, string>> = {}): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "kubeconfig-"));
  onTestFinished(() => rm(path, { recursive: true }));
  for (const [name, text] of Object.entries(files)) await put(join(path, name), text);
  return path;
}

async function put(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
}

function kubeconfig({ cluster = {}, user = {} }: Given): string {
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "here",
    contexts: [{ name: "here", context: { cluster: "c", user: "u" } }],
    clusters: [{ name: "c", cluster: { server: "https://api.test:6443/", ...cluster } }],
    users: [{ name: "u", user }],
  });
}

async function load(given: Given, more: Partial<ClusterAccess> = {}, files: Readonly<Record<string, string>> = {}) {
  const path = await folder({ ...files, config: kubeconfig(given) });
  const access = { kubeconfig: join(path, "config"), servers: [], root: "", ...more };
  return { path, config: await ApiServerConfig.load(access) };
}

const base64 = (text: string) => Buffer.from(text).toString("base64");
const NOTHING = { ca: "", cert: "", key: "", serverName: "", verify: true };

describe("a kubeconfig", () => {
  test.each<readonly [string, Given, object, object]>([
    ["a token", { user: { token: "t" } }, { authorization: "Bearer t" }, {}],
    ["a password", { user: { username: "u", password: "p" } }, { authorization: `Basic ${base64("u:p")}` }, {}],
    ["somebody to be", { user: { token: "t", as: "x" } }, { authorization: "Bearer t", "impersonate-user": "x" }, {}],
    [
      "certificates inline",
      {
        cluster: { "certificate-authority-data": base64("CA") },
        user: { "client-certificate-data": base64("CERT"), "client-key-data": base64("KEY") },
      },
      {},
      { ca: "CA", cert: "CERT", key: "KEY" },
    ],
    [
      "certificates in files beside it",
      {
        cluster: { "certificate-authority": "pki/ca" },
        user: { "client-certificate": "pki/cert", "client-key": "pki/key" },
      },
      {},
      { ca: "file CA", cert: "file CERT", key: "file KEY" },
    ],
    ["another name of the server", { cluster: { "tls-server-name": "kubernetes" } }, {}, { serverName: "kubernetes" }],
    ["no verification", { cluster: { "insecure-skip-tls-verify": true } }, {}, { verify: false }],
    [
      "a token file beside it, before the token",
      { user: { tokenFile: "token", token: "old" } },
      { authorization: "Bearer from file" },
      {},
    ],
  ])("may give %s", async (_, given, headers, tls) => {
    const files = { "pki/ca": "file CA", "pki/cert": "file CERT", "pki/key": "file KEY", token: "from file\n" };
    const { config } = await load(given, {}, files);
    expect(config.servers.map(String)).toEqual(["https://api.test:6443/"]);
    expect(await config.credentials()).toEqual({ headers, tls: { ...NOTHING, ...tls } });
  });

  test("is overruled by the servers given", async () => {
    const { config } = await load({ user: { token: "t" } }, { servers: ["https://one:1", "https://[fd00::2]:2"] });
    expect(config.servers.map(String)).toEqual(["https://one:1/", "https://[fd00::2]:2/"]);
    expect((await config.credentials()).headers).toEqual({ authorization: "Bearer t" });
  });

  test("for a server without TLS is taken", async () => {
    const { config } = await load({ cluster: { server: "http://127.0.0.1:8001" } });
    expect(config.servers[0]?.protocol).toBe("http:");
    await config.credentials();
  });

  test.each([
    ["that is not there", "", /^Cannot read kubeconfig ".*config": ENOENT/],
    ["that is no YAML", "a: [", /^Cannot read kubeconfig ".*config": .* at line 1/],
    ["that is none", "- 1\n", "no kubeconfig"],
    ["without a cluster", "apiVersion: v1\n", "no current cluster"],
    ["with a proxy", kubeconfig({ cluster: { "proxy-url": "http://proxy:3128" } }), "proxy-url is not supported"],
    [
      "with half an address",
      kubeconfig({ cluster: { server: "api.test:port" } }),
      'server "api.test:port" is not an https or http URL',
    ],
    ...["oidc", "gcp", "azure"].map((name): [string, string, string] => [
      `with auth-provider ${name}`,
      kubeconfig({ user: { "auth-provider": { name, config: {} } } }),
      `auth-provider "${name}" is not supported; use an exec plugin, a token file or client certificates`,
    ]),
  ])("%s cannot be loaded", async (_, text, reason) => {
    const path = await folder(text === "" ? {} : { config: text });
    const access = { kubeconfig: join(path, "config"), servers: [], root: "" };
    await expect(ApiServerConfig.load(access)).rejects.toThrow(reason);
  });

  test("that changes is read again", async () => {
    const { config, path } = await load({ user: { token: "one" } });
    await writeFile(join(path, "config"), kubeconfig({ user: { token: "two" } }));
    await utimes(join(path, "config"), new Date(), new Date(Date.now() + 5000));
    expect((await config.credentials()).headers).toEqual({ authorization: "Bearer two" });
  });
});

describe("an exec plugin", () => {
  const plugin = [
    "#!/bin/sh",
    'echo run >> "$(dirname "$0")/runs"',
    'n=$(wc -l < "$(dirname "$0")/runs" | tr -d " ")',
    'version=$(printf %s "$KUBERNETES_EXEC_INFO" | sed "s/.*apiVersion\\":\\"\\([^\\"]*\\).*/\\1/")',
    `printf '{"status":{"token":"%s run %s"}}' "$version" "$n"`,
  ].join("\n");

  test("is told the version of its protocol, kept to what it said, and run again once that is refused", async () => {
    const path = await folder({ plugin });
    await chmod(join(path, "plugin"), 0o755);
    const exec = { apiVersion: "client.authentication.k8s.io/v1", command: join(path, "plugin") };
    const { config } = await load({ user: { exec } });
    const first = { authorization: "Bearer client.authentication.k8s.io/v1 run 1" };
    expect((await config.credentials()).headers).toEqual(first);
    expect((await config.credentials()).headers).toEqual(first);
    await config.renew();
    expect((await config.credentials()).headers).toEqual({
      authorization: "Bearer client.authentication.k8s.io/v1 run 2",
    });
  });

  test.each([
    ["/bin/false", [], "the exec plugin failed"],
    ["/bin/sh", ["-c", "echo no session >&2; exit 1"], "no session"],
    ["/no/such", [], "spawn /no/such ENOENT"],
  ])("that fails is no credentials: %s %j", async (command, args, reason) => {
    const { config } = await load({ user: { exec: { apiVersion: "v1", command, args } } });
    await expect(config.credentials()).rejects.toThrow(`Cannot get credentials: ${reason}`);
  });
});

describe("in the cluster", () => {
  const ACCOUNT = "var/run/secrets/kubernetes.io/serviceaccount";

  async function pod(host = "10.96.0.1") {
    vi.stubEnv("KUBERNETES_SERVICE_HOST", host);
    vi.stubEnv("KUBERNETES_SERVICE_PORT", "443");
    onTestFinished(() => void vi.unstubAllEnvs());
    const files = {
      [`${ACCOUNT}/token`]: "projected\n",
      [`${ACCOUNT}/ca.crt`]: "CA",
      [`${ACCOUNT}/namespace`]: "kube-system",
    };
    const root = await folder(files);
    return { root: `${root}/`, access: { kubeconfig: "", servers: [], root: `${root}/` } };
  }

  test.each([
    ["10.96.0.1", "https://10.96.0.1/"],
    ["fd00::1", "https://[fd00::1]/"],
  ])("the API server at %s is reached with the service account", async (host, url) => {
    const { access } = await pod(host);
    const config = await ApiServerConfig.load(access);
    expect(config.servers.map(String)).toEqual([url]);
    expect(await config.credentials()).toEqual({
      headers: { authorization: "Bearer projected" },
      tls: { ...NOTHING, ca: "CA" },
    });
  });

  test("servers given are asked instead, as the service account", async () => {
    const { access } = await pod();
    vi.stubEnv("KUBERNETES_SERVICE_HOST", undefined);
    const config = await ApiServerConfig.load({ ...access, servers: ["https://one:1", "https://two:2"] });
    expect(config.servers.map(String)).toEqual(["https://one:1/", "https://two:2/"]);
    expect(await config.credentials()).toMatchObject({
      headers: { authorization: "Bearer projected" },
      tls: { ca: "CA" },
    });
  });

  test("a rotated token is used after a minute, or at once when the old one was refused; a new authority at once", async () => {
    const { access, root } = await pod();
    const config = await ApiServerConfig.load(access);
    await config.credentials();
    await put(`${root}${ACCOUNT}/token`, "rotated");
    await put(`${root}${ACCOUNT}/ca.crt`, "CA 2");
    expect(await config.credentials()).toMatchObject({
      headers: { authorization: "Bearer projected" },
      tls: { ca: "CA 2" },
    });
    vi.useFakeTimers({ now: Date.now() + 61_000, toFake: ["Date"] });
    onTestFinished(() => void vi.useRealTimers());
    expect((await config.credentials()).headers).toEqual({ authorization: "Bearer rotated" });
    await put(`${root}${ACCOUNT}/token`, "again");
    await config.renew();
    expect((await config.credentials()).headers).toEqual({ authorization: "Bearer again" });
  });

  test("a missing token is an error that passes", async () => {
    const { access, root } = await pod();
    const config = await ApiServerConfig.load(access);
    await rm(`${root}${ACCOUNT}/token`);
    await expect(config.credentials()).rejects.toThrow("ENOENT");
    await put(`${root}${ACCOUNT}/token`, "back");
    expect((await config.credentials()).headers).toEqual({ authorization: "Bearer back" });
  });

  test("nothing can be found outside of one", async () => {
    vi.stubEnv("KUBERNETES_SERVICE_HOST", undefined);
    onTestFinished(() => void vi.unstubAllEnvs());
    const access = { kubeconfig: "", servers: [], root: await folder() };
    await expect(ApiServerConfig.load(access)).rejects.toThrow("KUBERNETES_SERVICE_HOST is not set");
  });
});

test("a server alone needs nothing else", async () => {
  const config = await ApiServerConfig.load({ kubeconfig: "", servers: ["https://api.test"], root: "" });
  expect(await config.credentials()).toEqual({ headers: {}, tls: NOTHING });
});
