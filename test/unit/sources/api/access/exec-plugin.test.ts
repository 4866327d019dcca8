import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { testTls } from "../../../../support/api/api-server.ts";
import { credential, PLUGIN, PRINTS_FILE, plugin, prints, script } from "../../../../support/objects/exec-plugins.ts";
import { folderOf, kubeconfigText, loaded, put } from "../../../../support/objects/kubeconfigs.ts";

const never = new AbortController().signal;
const V1 = "client.authentication.k8s.io/v1";
const V1BETA1 = "client.authentication.k8s.io/v1beta1";
const A = testTls("a");
const B = testTls("b");

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

const { HOME = "", PATH = "" } = process.env;

describe("an exec plugin receives", () => {
  const INFO = script('printf %s "$KUBERNETES_EXEC_INFO" > info\ncat answer');

  test.each([V1, V1BETA1])("the version of its protocol, and that no user is present: %s", async (apiVersion) => {
    const one = await plugin(INFO, { apiVersion }, { answer: credential({ token: "t" }, { apiVersion }) });
    expect(await one.token()).toEqual(bearer("t"));
    expect(JSON.parse(await one.read("info"))).toEqual({
      apiVersion,
      kind: "ExecCredential",
      spec: { interactive: false },
    });
  });

  test("with provideClusterInfo: true the cluster, with the authority of a file and its extension settings", async () => {
    const cluster = {
      "certificate-authority": "ca.crt",
      "tls-server-name": "kubernetes",
      extensions: [
        { name: "other", extension: { no: true } },
        { name: "client.authentication.k8s.io/exec", extension: { audience: "x" } },
      ],
    };
    const files = { answer: credential({ token: "t" }), "ca.crt": A.cert };
    const one = await plugin(INFO, { provideClusterInfo: true }, files, cluster);
    await one.token();
    expect(JSON.parse(await one.read("info")).spec).toEqual({
      interactive: false,
      cluster: {
        server: "https://api.test:6443",
        "tls-server-name": "kubernetes",
        "certificate-authority-data": Buffer.from(A.cert).toString("base64"),
        config: { audience: "x" },
      },
    });
  });

  test("with provideClusterInfo: true that the cluster is not verified", async () => {
    const cluster = { "insecure-skip-tls-verify": true };
    const one = await plugin(INFO, { provideClusterInfo: true }, { answer: credential({ token: "t" }) }, cluster);
    await one.token();
    expect(JSON.parse(await one.read("info")).spec.cluster).toEqual({
      server: "https://api.test:6443",
      "insecure-skip-tls-verify": true,
    });
  });

  test("its arguments and variables, and our environment", async () => {
    const body = script('printf "%s," "$@" "$MINE" "$HOME" > given\ncat answer');
    const exec = { args: ["a b", "", "$x"], env: [{ name: "MINE", value: "m" }] };
    const one = await plugin(body, exec, { answer: credential({ token: "t" }) });
    await one.token();
    expect(await one.read("given")).toBe(`a b,,$x,m,${HOME},`);
  });
});

describe("an exec plugin is found", () => {
  test("a relative command with a slash, beside the kubeconfig and not in the working directory", async () => {
    const one = await plugin(
      script(""),
      { command: "bin/plugin" },
      { "bin/plugin": prints(credential({ token: "t" })) },
    );
    expect(await one.token()).toEqual(bearer("t"));
  });

  test("a command without a slash, in PATH", async () => {
    const path = `${await folderOf({ "my-plugin": prints(credential({ token: "t" })) })}:${PATH}`;
    const user = { exec: { apiVersion: V1, command: "my-plugin" } };
    const { config } = await loaded({ user }, {}, { env: { ...process.env, PATH: path } });
    expect((await config.credentials(never)).headers).toEqual(bearer("t"));
  });
});

describe("an exec plugin returns", () => {
  test("a client certificate, which takes precedence over that of the kubeconfig", async () => {
    const status = { clientCertificateData: B.cert, clientKeyData: B.key };
    const one = await plugin(PRINTS_FILE, {}, { answer: credential(status) });
    expect(await one.config.credentials(never)).toEqual(
      expect.objectContaining({ headers: {}, tls: expect.objectContaining(B) }),
    );
  });

  test("a token, which is used only without one in the kubeconfig", async () => {
    const exec = { apiVersion: V1, command: "./plugin" };
    const files = { plugin: prints(credential({ token: "t" })) };
    const { config } = await loaded({ user: { token: "given", exec } }, files);
    expect((await config.credentials(never)).headers).toEqual(bearer("given"));
  });

  test.each<readonly [string, string]>([
    ["it is not an ExecCredential in JSON", "SECRET"],
    ["it is not an ExecCredential in JSON", ""],
    ["it is not an ExecCredential in JSON", `${credential({ token: "SECRET" })}\0`],
    ["it is not an ExecCredential in JSON", "null"],
    ["it is not an ExecCredential in JSON", credential({ token: "SECRET" }, { kind: "TokenReview" })],
    [`its apiVersion is not ${V1}`, credential({ token: "SECRET" }, { apiVersion: V1BETA1 })],
    ["it has no status", credential(null)],
    ["it has no status", credential("SECRET")],
    ["it has neither a token nor a client certificate", credential({})],
    ["it has neither a token nor a client certificate", credential({ token: "" })],
    ["it has only one of clientCertificateData and clientKeyData", credential({ token: "t", clientKeyData: "SECRET" })],
    ["token: must be a text; write numbers in quotes, is a number", credential({ token: 7 })],
    [
      "token: it contains a line break or another character that a header cannot have",
      credential({ token: "a\nSECRET: x" }),
    ],
    ["expirationTimestamp: it is not an RFC 3339 time", credential({ token: "t", expirationTimestamp: "tomorrow" })],
    [
      "expirationTimestamp: it is not an RFC 3339 time",
      credential({ token: "t", expirationTimestamp: "2026-13-01T00:00:00Z" }),
    ],
    [
      "clientCertificateData: it contains no certificate in PEM format",
      credential({ clientCertificateData: "SECRET", clientKeyData: A.key }),
    ],
    [
      "clientKeyData: it contains no unencrypted private key in PEM format",
      credential({ clientCertificateData: A.cert, clientKeyData: "SECRET" }),
    ],
    [
      "clientCertificateData: it does not belong to the key of clientKeyData",
      credential({ clientCertificateData: A.cert, clientKeyData: B.key }),
    ],
  ])("nothing that can be used, and nothing of it is shown: %s, %j", async (reason, answer) => {
    const one = await plugin(PRINTS_FILE, {}, { answer });
    const message = await one.failure();
    const [, field, what = reason] = /^(\w+): (.*)$/.exec(reason) ?? [];
    expect(message).toContain(
      `Cannot use ${field === undefined ? "" : `${field} of `}the output of ${PLUGIN}: ${what}`,
    );
    expect(message).not.toContain("SECRET");
  });
});

describe("an exec plugin fails", () => {
  test.each([
    ["ended with exit code 1", script("exit 1")],
    ["ended with exit code 1: no session, [31mlog in", script("printf 'no session,\\n\\033[31mlog in\\n' >&2; exit 1")],
    ["was killed by SIGSEGV", script("kill -SEGV $$")],
    ["cannot be started: spawn DIR/plugin EACCES", "no program"],
    ["printed more than 1048576 bytes", script("yes")],
  ])("with an error that names it: %s", async (reason, text) => {
    const one = await plugin(text);
    const message = await one.failure();
    expect(message).toBe(`Cannot get credentials: ${PLUGIN} ${reason}`);
  });

  test("because it does not exist", async () => {
    const one = await plugin("", { command: "no-such-plugin" });
    expect(await one.failure()).toContain('exec plugin "no-such-plugin" of user "u"');
    expect(await one.failure()).toContain("spawn no-such-plugin ENOENT");
  });

  test.each([
    ["ERR_INVALID_ARG_VALUE", "SECRET\0"],
    ["E2BIG", "SECRET".repeat(40_000)],
  ])("because its variables cannot be passed: %s", async (code, value) => {
    const one = await plugin(script(""), { env: [{ name: "A", value }] });
    expect(await one.failure()).toBe(
      `Cannot get credentials: ${PLUGIN} cannot be started: its arguments or variables cannot be passed: ${code}`,
    );
  });

  test("with only the begin of its stderr in the error", async () => {
    const one = await plugin(script("yes 'all of it' | head -c 5000000 >&2; exit 1"));
    const message = await one.failure();
    expect(message).toContain("exit code 1: all of it all of it");
    expect(message.length).toBeLessThan(600);
  });
});

test("the exec plugin is replaced after the kubeconfig has changed", async () => {
  const one = await plugin(prints(credential({ token: "one" })));
  expect(await one.token()).toEqual(bearer("one"));
  await put(join(one.folder, "other"), prints(credential({ token: "two" })));
  await put(one.path, kubeconfigText({ user: { exec: { apiVersion: V1, command: "./other" } } }));
  expect(await one.token()).toEqual(bearer("two"));
});
