import { describe, expect, test } from "vitest";
import { EXIT_FAILURE } from "../../../src/commands/exit-codes.ts";
import { init } from "../../../src/commands/init.ts";
import { checkForgotten } from "../../../src/commands/init-checks.ts";
import { readConfig } from "../../../src/config/config.ts";
import { PROXY_CHAINS } from "../../../src/node/rules/proxy-rules.ts";
import { deployedConfigMap } from "../../support/container/deployment.ts";
import { FakeNode } from "../kernel/fake-node.ts";

const { apiServers: EXAMPLE = "" } = deployedConfigMap().data ?? {};

function configOf(servers: string, clusterCidrs = "", localMode = "ClusterCIDR") {
  const { config, problems } = readConfig({
    nodeName: { source: "--node-name", text: "n1" },
    servers: { source: "--master", text: servers },
    clusterCidrs: { source: "--cluster-cidr", text: clusterCidrs },
    localMode: { source: "--detect-local-mode", text: localMode },
  });
  expect(problems).toEqual([]);
  return config;
}

describe("the settings that are often forgotten", () => {
  test("the API server of the manifests is an error that names the setting", () => {
    expect(checkForgotten(configOf(EXAMPLE, "10.244.0.0/16"))).toEqual({
      errors: [
        expect.stringMatching(/^API server "https:\/\/control-plane.invalid:6443" is an example: set apiServers in /),
      ],
      warnings: [],
    });
  });

  test.each([
    ["without a network of the pods", "", "ClusterCIDR", 1],
    ["with a network of the pods", "10.244.0.0/16", "ClusterCIDR", 0],
    ["with another way to recognise pods", "", "NodeCIDR", 0],
  ])("%s there are so many warnings", (_, cidrs, mode, count) => {
    const { errors, warnings } = checkForgotten(configOf("https://10.0.0.1:6443", cidrs, mode));
    expect([errors, warnings.length]).toEqual([[], count]);
  });
});

test("init with the API server of the manifests fails before it changes the node", async () => {
  const node = new FakeNode();
  const err: string[] = [];
  const output = { out: () => undefined, err: (text: string) => void err.push(text) };
  expect(await init(configOf(EXAMPLE), output, node.kernel(PROXY_CHAINS))).toBe(EXIT_FAILURE);
  expect(err.join("")).toMatch(/^API server ".*" is an example: .*\n$/);
  expect(node.link).toBe(new FakeNode().link);
});
