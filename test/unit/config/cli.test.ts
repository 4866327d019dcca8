import { describe, expect, test } from "vitest";
import { readCommandLine } from "../../../src/config/cli.ts";
import type { Config } from "../../../src/config/config.ts";

/** Arguments as one text; manifests are given unless the test concerns them. */
function read(line: string, env: { NODE_NAME?: string; KUBERNETES_SERVICE_HOST?: string } = {}, hostname = "host") {
  return readCommandLine(line.split(" ").filter(Boolean), { env, hostname, readFile: () => "" });
}

function config(line: string, env = {}, hostname = "host"): Config {
  const invocation = read(`--manifests m ${line}`, env, hostname);
  if (invocation.kind !== "command") throw new Error(JSON.stringify(invocation));
  return invocation.config;
}

function problems(line: string): readonly string[] {
  const invocation = read(line);
  return invocation.kind === "refused" ? invocation.problems : [];
}

describe("commands", () => {
  test.each([
    ["--manifests m", "run"],
    ["run --manifests m", "run"],
    ["plan --manifests m", "plan"],
    ["--manifests m diff -o json", "diff"],
    ["init --conntrack-min 0 --manifests m", "init"],
    ["cleanup", "cleanup"],
    ["rollback --cluster-cidr 10.244.0.0/16", "rollback"],
    ["cleanup --manifests m --drain-timeout 1m --ipvs-exclude-cidrs 10.0.0.0/8", "cleanup"],
  ])("%s is %s", (line, command) => {
    expect(read(line)).toMatchObject({ kind: "command", command });
  });
});

test("init and cleanup need no node name and accept a host name that is invalid for a Node", () => {
  expect(read("init", {}, "(none)")).toMatchObject({ kind: "command", command: "init" });
  expect(read("cleanup", {}, "(none)")).toMatchObject({ kind: "command", command: "cleanup" });
  expect(read("plan --manifests m", {}, "(none)")).toMatchObject({ kind: "refused" });
});

describe("forms of a flag", () => {
  test.each<[string, Partial<Config>]>([
    ["--ipvs-scheduler wlc", { scheduler: "wlc" as Config["scheduler"] }],
    ["--ipvs-scheduler=wlc", { scheduler: "wlc" as Config["scheduler"] }],
    ["--ipvs_scheduler wlc", { scheduler: "wlc" as Config["scheduler"] }],
    ["--ipvs-scheduler rr --ipvs-scheduler=sh", { scheduler: "sh" as Config["scheduler"] }],
    ["--masquerade-all", { masqueradeAll: true }],
    ["--masquerade-all=true", { masqueradeAll: true }],
    ["--masquerade-all=false", { masqueradeAll: false }],
    ["--masquerade-all --masquerade-all=false", { masqueradeAll: false }],
    ["-v 4", { verbosity: 4 }],
    ["-v4", { verbosity: 4 }],
    ["-v=4", { verbosity: 4 }],
    ["--v=4", { verbosity: 4 }],
    ["diff -o json", { output: "json" }],
    ["diff -ojson", { output: "json" }],
    ["diff -o=json", { output: "json" }],
    ["diff --output=json", { output: "json" }],
    ["--metrics-bind-address=", { metricsBindAddress: undefined }],
    ["--manifests=/a_b/c=d", { manifests: "/a_b/c=d" }],
    ["--manifests /a_b", { manifests: "/a_b" }],
  ])("%s", (line, expected) => {
    expect(config(line)).toMatchObject(expected);
  });

  test.each([
    "--node-ip 10.0.0.1,fd00::1",
    "--node-ip 10.0.0.1 --node-ip fd00::1",
    "--node_ip=10.0.0.1 --node-ip=fd00::1",
  ])("%s is a list of two", (line) => {
    expect(config(line).nodeIPs).toEqual(["10.0.0.1", "fd00::1"]);
  });
});

describe("node name", () => {
  test.each([
    ["--node-name A", {}, "a"],
    ["--hostname-override A", { NODE_NAME: "b" }, "a"],
    ["--hostname-override a --node-name b", {}, "b"],
    ["--hostname-override=", { NODE_NAME: "b" }, "b"],
    ["", { NODE_NAME: " B " }, "b"],
    ["", { NODE_NAME: "" }, "host"],
    ["", {}, "host"],
  ])("%s with %j is %s", (line, env, expected) => {
    expect(config(line, env, "Host").nodeName).toBe(expected);
  });

  test("a blank host name is rejected", () => {
    expect(read("--manifests m", {}, " ")).toEqual({
      kind: "refused",
      problems: ['Invalid host name " ": must not be blank'],
    });
  });
});

describe("where Services come from", () => {
  const POD = { KUBERNETES_SERVICE_HOST: "10.96.0.1" };

  test.each<[string, object, Partial<Config>]>([
    ["run --kubeconfig k", {}, { kubeconfig: "k", servers: [], manifests: "" }],
    ["diff --master https://a,https://b --master=https://c", {}, { servers: ["https://a", "https://b", "https://c"] }],
    ["plan --kubeconfig k --master https://a", POD, { kubeconfig: "k", servers: ["https://a"] }],
    ["run", POD, { kubeconfig: "", servers: [], manifests: "" }],
    ["run --manifests m", POD, { kubeconfig: "", servers: [], manifests: "m" }],
  ])("%s with %j", (line, env, expected) => {
    expect(read(line, env)).toMatchObject({ kind: "command", config: expected });
  });

  test.each(["run", "plan --manifests=", "diff --kubeconfig= --master="])("%s outside of a pod is nowhere", (line) => {
    expect(problems(line)).toEqual([
      expect.stringMatching(/^\w+ needs a source of Services: --kubeconfig PATH, --master URL or --manifests PATH/),
    ]);
  });

  test.each([
    ["run --manifests m --kubeconfig k", "--manifests and --kubeconfig"],
    ["diff --manifests m --master https://a", "--manifests and --master"],
  ])("%s is two places", (line, both) => {
    expect(problems(line)).toEqual([`${both} are both a source of Services: use only one of them`]);
  });

  test("cleanup accepts the arguments of an agent", () => {
    expect(read("cleanup --kubeconfig k --master https://a").kind).toBe("command");
  });
});

describe("mistakes", () => {
  test.each([
    ["cleanup --bogus", ['Unknown flag "--bogus"']],
    ["cleanup --bogus=1 -x", ['Unknown flag "--bogus"', 'Unknown flag "-x"']],
    ["cleanup --o text", ['Unknown flag "--o"', 'Unexpected argument "text"']],
    ["cleanup --constructor", ['Unknown flag "--constructor"']],
    ["cleanup now -- then", ['Unexpected argument "now"', 'Unexpected argument "then"']],
    [
      "clean --manifests m",
      [
        'Unknown command "clean": use run, init, plan, diff, explain, trace, doctor, status, support-bundle, rollback, cleanup',
      ],
    ],
    ["cleanup --drain-timeout", ["Missing value: --drain-timeout DURATION"]],
    ["cleanup --drain-timeout --masquerade-all", ["Missing value: --drain-timeout DURATION"]],
    ["cleanup -o json", ["-o is not a flag of cleanup: use it with plan, diff, explain, trace, doctor or status"]],
    ["--manifests m -o json", ["-o is not a flag of run: use it with plan, diff, explain, trace, doctor or status"]],
    ["cleanup --masquerade-all=maybe", ['Invalid --masquerade-all "maybe": must be true or false']],
    [
      "cleanup --node_name=a_b",
      ['Invalid --node-name "a_b": must be a DNS name of lower case letters, digits, - and .'],
    ],
  ])("%s", (line, expected) => {
    expect(problems(line)).toEqual(expected);
  });

  test("all mistakes are reported at once", () => {
    expect(problems("diff extra --bogus --ipvs-scheduler=x -v")).toEqual([
      'Unexpected argument "extra"',
      'Unknown flag "--bogus"',
      "Missing value: -v N",
      expect.stringContaining("diff needs a source of Services"),
      expect.stringContaining('Invalid --ipvs-scheduler "x"'),
    ]);
  });
});

describe("help and version", () => {
  test.each(["--help", "-h", "plan -h", "--help --bogus"])("%s is help, whatever else is wrong", (line) => {
    expect(read(line).kind).toBe("help");
  });

  test("--version is accepted", () => {
    expect(read("--version --bogus")).toEqual({ kind: "version" });
  });

  test("help lists the commands and the flags of the agent with their defaults", () => {
    const invocation = read("--help");
    const text = invocation.kind === "help" ? invocation.text : "";
    for (const command of ["run", "plan", "diff", "cleanup"]) expect(text).toMatch(new RegExp(`^  ${command} `, "m"));
    expect(text).toMatch(/--hostname-override, --node-name NAME\n/);
    expect(text).toMatch(/--ipvs-sync-period DURATION\n.*\(default 30s\)\n/);
    expect(text).toMatch(/-v, --v N\n.*\(default 0\)\n/);
    expect(text).not.toMatch(/--output/);
  });

  test("help of a command lists only its flags", () => {
    const invocation = read("plan --help");
    const text = invocation.kind === "help" ? invocation.text : "";
    expect(text).toMatch(/^Usage: kube-ipvs plan/);
    expect(text).toMatch(/-o, --output text\|json\n.*\(default text\)\n/);
    expect(text).not.toMatch(/--healthz-bind-address/);
  });
});
