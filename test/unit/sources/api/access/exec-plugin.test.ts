import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { testTls } from "../../../../support/api/api-server.ts";
import { until } from "../../../../support/api/worlds/test-access.ts";
import { folderOf, kubeconfigText, loaded, put } from "../../../../support/objects/kubeconfigs.ts";

const never = new AbortController().signal;
const V1 = "client.authentication.k8s.io/v1";
const V1BETA1 = "client.authentication.k8s.io/v1beta1";
const A = testTls("a");
const B = testTls("b");

/** A plugin that records each run, then executes the script. */
const script = (body: string) => `#!/bin/sh\ncd "$(dirname "$0")" && echo $$ >> runs\n${body}`;
const credential = (status: unknown, rest: object = {}) =>
  JSON.stringify({ apiVersion: V1, kind: "ExecCredential", ...rest, status });
const prints = (text: string) => script(`cat <<'END'\n${text}\nEND`);
/** Prints the file "answer" beside it. */
const PRINTS_FILE = script("cat answer");

/** The kubeconfig of a plugin beside it. */
async function plugin(
  text: string,
  exec: object = {},
  files: Readonly<Record<string, string>> = {},
  cluster: object = {},
) {
  const user = { exec: { apiVersion: V1, command: "./plugin", interactiveMode: "Never", ...exec } };
  const one = await loaded({ user, cluster: { ...cluster } }, { plugin: text, ...files });
  const read = async (file: string) => await readFile(join(one.folder, file), "utf8").catch(() => "");
  const runs = async () => (await read("runs")).split("\n").filter((line) => line !== "");
  const token = async () => (await one.config.credentials(never)).headers;
  const failure = () =>
    one.config.credentials(never).then(
      () => "none",
      (error: Error) => error.message.replaceAll(one.folder, "DIR"),
    );
  return { ...one, read, runs, token, failure };
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const PLUGIN = 'exec plugin "./plugin" of user "u" of kubeconfig "DIR/config"';

function isAlive(pid: string | undefined): boolean {
  try {
    return process.kill(Number(pid), 0);
  } catch {
    return false;
  }
}

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

describe("an exec plugin runs", () => {
  test("once for all waiting requests, and not again while its credentials are valid", async () => {
    const one = await plugin(prints(credential({ token: "t" })));
    expect(await Promise.all([one.token(), one.token(), one.token()])).toEqual(Array(3).fill(bearer("t")));
    await one.clock.advance(86_400_000);
    expect(await one.token()).toEqual(bearer("t"));
    expect(await one.runs()).toHaveLength(1);
  });

  test("again when its credentials have expired by the wall clock", async () => {
    const one = await plugin(PRINTS_FILE);
    const expires = (ms: number) => new Date(one.clock.date().getTime() + ms).toISOString();
    await put(join(one.folder, "answer"), credential({ token: "one", expirationTimestamp: expires(60_000) }));
    expect(await one.token()).toEqual(bearer("one"));
    await put(join(one.folder, "answer"), credential({ token: "two", expirationTimestamp: expires(120_000) }));
    await one.clock.advance(59_000);
    expect(await one.token()).toEqual(bearer("one"));
    one.clock.stepWall(1000);
    expect(await one.token()).toEqual(bearer("two"));
  });

  test("again at once when the server rejected its credentials, then with a wait that doubles", async () => {
    const one = await plugin(
      script(
        `printf '{"apiVersion":"${V1}","kind":"ExecCredential","status":{"token":"%s"}}' "$(wc -l < runs | tr -d ' ')"`,
      ),
    );
    await one.token();
    await one.clock.advance(60_000);
    const waits: number[] = [];
    let sinceMs = one.clock.now();
    for (let round = 0; round < 600; round++) {
      const before = await one.config.credentials(never);
      await one.config.renew(before);
      if (
        (await one.config.credentials(never)).headers !== before.headers &&
        (await one.runs()).length > waits.length + 1
      ) {
        waits.push(one.clock.now() - sinceMs);
        sinceMs = one.clock.now();
      }
      await one.clock.advance(100);
    }
    expect(waits).toEqual([0, 800, 1600, 3200, 6400, 12_800, 25_600]);
  });

  test("not again for a request that was rejected with former credentials", async () => {
    const one = await plugin(PRINTS_FILE, {}, { answer: credential({ token: "one" }) });
    const first = await one.config.credentials(never);
    await put(join(one.folder, "answer"), credential({ token: "two" }));
    await one.clock.advance(10_000);
    await one.config.renew(first);
    expect(await one.token()).toEqual(bearer("two"));
    await one.config.renew(first);
    await one.clock.advance(10_000);
    expect(await one.token()).toEqual(bearer("two"));
    expect(await one.runs()).toHaveLength(2);
  });

  test("again after a failure and a wait that doubles; until then the failure is returned", async () => {
    const one = await plugin(script("exit 3"));
    const message = `Cannot get credentials: ${PLUGIN} ended with exit code 3`;
    for (let round = 0; round < 100; round++) {
      expect(await one.failure()).toBe(message);
      await one.clock.advance(100);
    }
    // At 0, 0.8, 2.4 and 5.6 s.
    expect(await one.runs()).toHaveLength(4);
    await put(join(one.folder, "plugin"), prints(credential({ token: "t" })));
    await one.clock.advance(10_000);
    expect(await one.token()).toEqual(bearer("t"));
  });

  test("again after an output without status, which is not kept", async () => {
    const one = await plugin(PRINTS_FILE, {}, { answer: credential(undefined) });
    expect(await one.failure()).toBe(`Cannot use the output of ${PLUGIN}: it has no status`);
    await put(join(one.folder, "answer"), credential({ token: "t" }));
    await one.clock.advance(800);
    expect(await one.token()).toEqual(bearer("t"));
  });
});

describe("an exec plugin returns", () => {
  test("a client certificate, which takes precedence over that of the kubeconfig", async () => {
    const status = { clientCertificateData: B.cert, clientKeyData: B.key };
    const one = await plugin(PRINTS_FILE, {}, { answer: credential(status) });
    expect(await one.config.credentials(never)).toMatchObject({ headers: {}, tls: B });
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

describe("an exec plugin that hangs", () => {
  /** With a child process in a pipe, as shell scripts have. */
  const HANGS = script("sleep 1000 & echo $! >> runs; echo SECRET >&2; wait");
  const started = async (one: Awaited<ReturnType<typeof plugin>>) =>
    await until("plugin and child run", async () => (await one.runs()).length === 2);

  test("is one run for all, and is killed with its children after 30 s", async () => {
    const one = await plugin(HANGS);
    const asked = [one.failure(), one.failure(), one.failure(), one.failure()];
    await started(one);
    await one.clock.advance(29_900);
    expect((await one.runs()).every(isAlive)).toBe(true);
    await one.clock.advance(100);
    const message = `Cannot get credentials: ${PLUGIN} did not finish within 30 s`;
    expect(await Promise.all(asked)).toEqual(Array(4).fill(message));
    const pids = await one.runs();
    expect(pids).toHaveLength(2);
    await until("both are gone", () => !pids.some(isAlive));
  });

  test("is waited for no longer than the limit of a request, and continues for the next request", async () => {
    const one = await plugin(script("echo child >> runs; while [ ! -e go ]; do sleep 0.01; done; cat answer"));
    const over = new AbortController();
    const asked = one.config
      .credentials(over.signal)
      .catch((error: Error) => error.message.replaceAll(one.folder, "DIR"));
    await started(one);
    over.abort();
    expect(await asked).toBe(`Cannot get credentials in time: still waiting for ${PLUGIN}`);
    await put(join(one.folder, "answer"), credential({ token: "t" }));
    await put(join(one.folder, "go"), "");
    expect(await one.token()).toEqual(bearer("t"));
    expect(await one.runs()).toHaveLength(2);
  });

  test("is killed with its children at the stop", async () => {
    const one = await plugin(HANGS);
    const asked = one.failure();
    await started(one);
    one.stop.abort(new Error("stopped"));
    expect(await asked).toContain("stopped");
    const pids = await one.runs();
    await until("both are gone", () => !pids.some(isAlive));
    expect(one.clock.sleeping).toBe(0);
  });

  test("is given up after 30 s also if a process that it left keeps its output open", async () => {
    const one = await plugin(script("setsid sleep 1000 & echo $! >> runs"));
    const asked = one.failure();
    await started(one);
    await until("the plugin has ended", async () => !isAlive((await one.runs())[0]));
    await one.clock.advance(30_000);
    expect(await asked).toContain("did not finish within 30 s");
    process.kill(Number((await one.runs())[1]), "SIGKILL");
  });
});

test("the exec plugin is replaced after the kubeconfig has changed", async () => {
  const one = await plugin(prints(credential({ token: "one" })));
  expect(await one.token()).toEqual(bearer("one"));
  await put(join(one.folder, "other"), prints(credential({ token: "two" })));
  await put(one.path, kubeconfigText({ user: { exec: { apiVersion: V1, command: "./other" } } }));
  expect(await one.token()).toEqual(bearer("two"));
});
