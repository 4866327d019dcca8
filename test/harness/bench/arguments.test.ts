import { describe, expect, test } from "vitest";
import { readArguments, SCENARIOS } from "../../../bench/cli/arguments.ts";

const run = (...argv: readonly string[]) => {
  const invocation = readArguments(argv);
  if (invocation.command !== "run") throw new Error(JSON.stringify(invocation));
  return invocation;
};

test("without arguments all scenarios run with the usual sizes", () => {
  expect(run()).toMatchObject({ sizes: undefined, scenarios: SCENARIOS, peers: [], rounds: 3, seconds: 60 });
});

test("sizes are words or a flag, with 10 endpoints and one port by default", () => {
  expect(run("1000,5000x50", "--sizes", "1x10x1000").sizes).toEqual([
    { services: 1000, endpoints: 10, ports: 1 },
    { services: 5000, endpoints: 50, ports: 1 },
    { services: 1, endpoints: 10, ports: 1000 },
  ]);
});

test("a quick run has one round and ten seconds, unless they are given", () => {
  expect(run("--quick")).toMatchObject({ isQuick: true, rounds: 1, seconds: 10 });
  expect(run("--quick", "--rounds", "5")).toMatchObject({ rounds: 5 });
});

test("peers are commands, each with its own flag", () => {
  expect(run("--peer", "a --x", "--peer", "b={kubeconfig}").peers).toEqual(["a --x", "b={kubeconfig}"]);
});

test("--help anywhere prints the help", () => {
  expect(readArguments(["compare", "--help"])).toEqual({ command: "help" });
});

describe("what is not allowed is named, with what is allowed", () => {
  test.each<[string, string]>([
    ["foo", 'size: "foo" is not allowed; allowed: SERVICESxENDPOINTS'],
    ["0", 'size: "0"'],
    ["1000,", 'size: ""'],
    ["1000x10x", 'size: "1000x10x"'],
    ["300000", 'size: "300000"'],
    ["1000x1001", 'size: "1000x1001"'],
    ["--scenarios=cold,warm", '--scenarios: "warm" is not allowed; allowed: sync, cold, idle'],
    ["--kernel=4.19", '--kernel: "4.19" is not allowed; allowed: host, 6.1'],
    ["--rounds=0", '--rounds: "0" is not allowed; allowed: a number from 1 to 20'],
    ["--seconds=abc", '--seconds: "abc"'],
    ["--peer= ", '--peer: " " is not allowed; allowed: a command that starts a proxy'],
    ["--fast", "Unknown option '--fast'; the flags are --sizes, --scenarios"],
    ["--quick=1", "Option '--quick' does not take an argument; the flags are"],
    ["publish", "publish needs one argument"],
    ["publish a b", "publish needs one argument"],
    ["compare a", "compare needs two arguments"],
    ["watch foo", 'size: "foo"'],
  ])("%s", (line, message) => {
    const invocation = readArguments(line.startsWith("--peer") ? [line] : line.split(" "));
    expect(invocation).toMatchObject({ command: "invalid", message: expect.stringContaining(message) });
  });
});
