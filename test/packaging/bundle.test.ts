import { execFileSync, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { nodeProblem } from "../../src/process/version.ts";
import { apiService } from "../support/api/worlds/reported-cluster.ts";
import { SourceWorld } from "../support/api/worlds/source-world.ts";
import { until } from "../support/api/worlds/test-access.ts";
import { ended, finished } from "../support/node/namespace.ts";
import { Program } from "../support/node/program.ts";
import { serviceObject } from "../support/objects/builders.ts";
import { folderOf, kubeconfigText } from "../support/objects/kubeconfigs.ts";
import { patient } from "../support/time/patience.ts";

const root = join(import.meta.dirname, "../..");
const elsewhere = mkdtempSync(join(tmpdir(), "kube-ipvs-bundle-"));
const bundle = join(elsewhere, "kube-ipvs.mjs");
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

beforeAll(() => {
  execFileSync(process.execPath, ["build.ts"], { cwd: root });
  cpSync(join(root, "dist"), elsewhere, { recursive: true });
}, patient(60_000));
afterAll(() => rmSync(elsewhere, { recursive: true, force: true }));

function run(...args: readonly string[]) {
  return spawnSync(process.execPath, [bundle, ...args], { cwd: elsewhere, encoding: "utf8" });
}

test("the bundle is one program, the netlink bindings of both platforms, the files of the status page, the notices and the SBOM", () => {
  expect(readdirSync(join(root, "dist")).toSorted()).toEqual([
    ...["THIRD-PARTY-NOTICES.txt", "kube-ipvs.cdx.json"],
    ...["kube-ipvs.mjs", "netlink.linux-arm64.node", "netlink.linux-x64.node", "ui"],
  ]);
});

test("the bundle runs from a folder with nothing else in it", () => {
  expect(run("--version")).toMatchObject({ status: 0, stdout: `kube-ipvs ${version}\n`, stderr: "" });
});

test("the bundle plans as the sources do", () => {
  const args = ["plan", "--manifests", join(root, "examples/shop"), "--node-name", "node-1"];
  const sources = execFileSync(process.execPath, ["src/main.ts", ...args], { cwd: root, encoding: "utf8" });
  expect(run(...args)).toMatchObject({ status: 0, stdout: sources, stderr: "" });
  expect(sources).toContain("-A -t 10.96.0.10:443 -s rr");
});

test("the bundle finds the netlink binding", () => {
  // Without IPVS or its capability the kernel returns an error; a missing binding would be another error.
  const { status, stderr } = run("diff", "--manifests", join(root, "examples/shop"), "--node-name", "node-1");
  expect([0, 1, 2]).toContain(status);
  expect(stderr).not.toMatch(/Cannot find module|\.node/);
});

describe("before an API server", () => {
  async function served() {
    const world = new SourceWorld();
    onTestFinished(() => world.stop());
    await world.serve();
    world.model.behaviour.tokens = new Map([["secret", "kube-ipvs"]]);
    world.model.store.put(
      "/api/v1/services",
      apiService("web", 80, { clusterIP: "10.96.0.7", clusterIPs: ["10.96.0.7"] }),
    );
    return world;
  }

  async function planned(world: SourceWorld, user: object) {
    const kubeconfig = join(elsewhere, "kubeconfig");
    writeFileSync(kubeconfig, world.kubeconfig(JSON.stringify(user)));
    return await finished([process.execPath, bundle, "plan", "--kubeconfig", kubeconfig, "--node-name", "node-1"]);
  }

  const V1 = "client.authentication.k8s.io/v1";
  const CREDENTIAL = JSON.stringify({ apiVersion: V1, kind: "ExecCredential", status: { token: "secret" } });

  test.each([
    ["a token", { token: "secret" }],
    ["an exec plugin", { exec: { apiVersion: V1, command: "echo", args: [CREDENTIAL] } }],
  ])("the bundle is let in with %s", async (_, user) => {
    const { code, out, err } = await planned(await served(), user);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toContain("-A -t 10.96.0.7:80 -s rr");
  });

  /** A plan without an authority in its kubeconfig, on a system that trusts this one alone. */
  async function trusting(name: "a" | "b", world: SourceWorld): Promise<Program> {
    const empty = await folderOf();
    const kubeconfig = join(elsewhere, "kubeconfig");
    writeFileSync(kubeconfig, kubeconfigText({ cluster: { server: world.server.url }, user: { token: "secret" } }));
    const file = join(import.meta.dirname, `../fixtures/apiserver/tls/${name}.crt`);
    const system = ["env", `SSL_CERT_FILE=${file}`, `SSL_CERT_DIR=${empty}`];
    return Program.start([...system, process.execPath, bundle, "plan", "--kubeconfig", kubeconfig, "--node-name", "n"]);
  }

  test("without an authority in its kubeconfig the bundle trusts what the system trusts", async () => {
    const plan = await trusting("a", await served());
    const out = text(plan.stdout);
    await once(plan, "close");
    expect(plan.exitCode).toBe(0);
    expect(await out).toContain("-A -t 10.96.0.7:80 -s rr");
  });

  test("a server without a valid certificate gets no request from the bundle", async () => {
    const world = await served();
    const plan = await trusting("b", world);
    await until("two attempts", () => world.server.connections > 4);
    await ended(plan);
    expect(world.model.requests).toEqual([]);
  });

  test("an auth provider that client-go lacks is rejected by its name", async () => {
    const { code, err } = await planned(await served(), { "auth-provider": { name: "oidc", config: {} } });
    expect(code).toBe(1);
    expect(err).toMatch(
      /^Cannot use auth-provider of user "u" of kubeconfig ".*": "oidc" is not supported; use an exec plugin/,
    );
  });
});

/** Whether the process has ended; its new parent may take a while to take note of that (Z). */
function isGone(pid: string): boolean {
  try {
    return / Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return true;
  }
}

test.each(["SIGTERM", "SIGINT", "SIGHUP"] as const)(
  "a plan that %s ends takes the exec plugin that it waits for with it",
  async (name) => {
    const folder = await folderOf({
      plugin: '#!/bin/sh\necho $$ > "$(dirname "$0")/pid"; sleep 1000',
      config: kubeconfigText({
        user: { exec: { apiVersion: "client.authentication.k8s.io/v1", command: "./plugin" } },
      }),
    });
    const argv = [bundle, "plan", "--kubeconfig", join(folder, "config"), "--node-name", "n"];
    const plan = Program.start([process.execPath, ...argv]);
    const pid = () => (existsSync(join(folder, "pid")) ? readFileSync(join(folder, "pid"), "utf8").trim() : "");
    await until("the plugin runs", () => pid() !== "");
    await ended(plan, name);
    expect(plan.exitCode).toBe(null);
    await until("the plugin is gone", () => isGone(pid()));
  },
);

test("the bundle contains only the kubeconfig reader of client-node, not the generated API clients", () => {
  // With them and their transports it is twice the size, and takes 14 MB more of memory.
  expect(statSync(bundle).size).toBeLessThan(3_000_000);
  expect(readFileSync(bundle, "utf8")).toContain("function newClusters(");
});

describe("a configuration file", () => {
  const HEAD = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";

  test("with faults ends the program with exit code 64 and a line for each", () => {
    const file = join(elsewhere, "bad.conf");
    writeFileSync(file, `${HEAD}mode: iptables\nipvs: { schedular: rr, syncPeriod: 1 }\nfoo: 1`);
    const { status, stdout, stderr } = run("--config", file, "--proxy-mod=ipvs");
    expect({ status, stdout }).toEqual({ status: 64, stdout: "" });
    expect(stderr.split("\n")).toEqual([
      'Unknown flag "--proxy-mod": did you mean --proxy-mode?',
      'Invalid ipvs.syncPeriod "1": must be a duration in the form "30s", "1h15m" or "250ms"',
      'Unknown key "ipvs.schedular": did you mean ipvs.scheduler?',
      'Unknown key "foo"',
      expect.stringMatching(/^Invalid mode "iptables": .* run kube-proxy --proxy-mode=iptables/),
      "",
    ]);
  });

  test("is written with all defaults, and read again", () => {
    const written = join(elsewhere, "written.conf");
    expect(run("--ipvs-scheduler=sh", "--write-config-to", written)).toMatchObject({
      status: 0,
      stdout: "",
      stderr: "",
    });
    expect(readFileSync(written, "utf8")).toContain("  scheduler: sh\n");
    const manifests = join(root, "examples/shop");
    const { status, stdout } = run("plan", "--config", written, "--manifests", manifests, "--node-name", "node-1");
    expect(status).toBe(0);
    expect(stdout).toContain("-A -t 10.96.0.10:443 -s sh");
  });

  test("that cannot be written is a failure with its path", () => {
    const { status, stderr } = run("--write-config-to", join(elsewhere, "no-folder/x"));
    expect(status).toBe(1);
    expect(stderr).toContain("no-folder/x");
  });
});

test("wrong arguments end with exit code 64", () => {
  expect(run("--nope")).toMatchObject({ status: 64, stdout: "" });
});

describe("output", () => {
  /** A shell command in which "$KUBE_IPVS" is the program. */
  function shell(command: string) {
    const env = { ...process.env, KUBE_IPVS: `${process.execPath} ${bundle}`, SHOP: join(root, "examples/shop") };
    return spawnSync("bash", ["-c", command], { cwd: elsewhere, encoding: "utf8", env });
  }
  const PLAN = "$KUBE_IPVS plan --manifests $SHOP --node-name node-1";

  test.each([PLAN, "$KUBE_IPVS --help", "$KUBE_IPVS --version"])(
    "%s fails with an error message when the disk is full",
    (command) => {
      const expected = { status: 1, stdout: "", stderr: "Cannot write to standard output: ENOSPC\n" };
      expect(shell(`${command} > /dev/full`)).toMatchObject(expected);
    },
  );

  test("a plan that is only partly written, as the disk is full, is a failure", () => {
    const { status, stdout, stderr } = shell(`ulimit -f 1; ${PLAN} > part; code=$?; wc -c < part; exit $code`);
    expect({ status, stdout, stderr }).toEqual({
      status: 1,
      stdout: "1024\n",
      stderr: "Cannot write to standard output: EFBIG\n",
    });
  });

  test.each([
    ["a reader that leaves is no error", `${PLAN} | head -1; echo \${PIPESTATUS[0]}`, "# node node-1\n0\n"],
    ["a reader that never reads is no error", `${PLAN} | true; echo \${PIPESTATUS[0]}`, "0\n"],
    ["wrong arguments are wrong where stderr is full", "$KUBE_IPVS --nope 2> /dev/full; echo $?", "64\n"],
    ["wrong arguments are wrong where stderr is closed", "$KUBE_IPVS --nope 2>&-; echo $?", "64\n"],
    ["a plan is one where stderr is full", `${PLAN} 2> /dev/full | head -1`, "# node node-1\n"],
  ])("%s", (_, command, stdout) => {
    expect(shell(command)).toMatchObject({ stdout, stderr: "" });
  });

  test("a plan larger than a pipe reaches its reader whole", () => {
    const folder = mkdtempSync(join(elsewhere, "large-"));
    const items = Array.from({ length: 2_000 }, (_, number) =>
      serviceObject(`shop/web-${number}`, { ip: `10.96.${number >> 8}.${number & 255}` }),
    );
    writeFileSync(join(folder, "all.json"), JSON.stringify({ kind: "List", items }));
    const { stdout } = shell(`$KUBE_IPVS plan --manifests ${folder} --node-name n | grep -c '^-A -t 10.96.*:80 -s rr'`);
    expect(stdout).toBe("2000\n");
  });
});

test.each(["20.20.2", "22.22.0"])("Node.js %s is told which one is needed", (version) => {
  const old = `Object.defineProperty(process.versions, "node", { value: "${version}" });
    for (const [owner, name] of [[Map, "groupBy"], [Promise, "withResolvers"], [Array, "fromAsync"]]) delete owner[name];`;
  const argv = ["--import", `data:text/javascript,${encodeURIComponent(old)}`, bundle, "plan", "--manifests", "x"];
  expect(spawnSync(process.execPath, argv, { encoding: "utf8" })).toMatchObject({
    status: 1,
    stdout: "",
    stderr: `kube-ipvs needs Node.js 24 or newer; this is ${version} (${process.execPath})\n`,
  });
});

test("the documents and package.json name the same oldest Node.js", () => {
  const { engines } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  expect(engines.node).toBe(">=24");
  expect([nodeProblem("23.11.1"), nodeProblem("24.0.0"), nodeProblem("100.0.0")]).toEqual([
    expect.stringContaining("needs Node.js 24 or newer"),
    undefined,
    undefined,
  ]);
  expect(readFileSync(join(root, "README.md"), "utf8")).toContain("needs Node.js 24 or newer");
});
