import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { readConfigFile } from "../../../src/config/config-file.ts";

const HEAD = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";
const KUBEADM = join(import.meta.dirname, "../../fixtures/kubeadm/kube-proxy-configmap.yaml");

const problems = (text: string) => readConfigFile(`${HEAD}${text}`).problems;

/** The texts that the file gives, by path. */
function given(text: string): Readonly<Record<string, string>> {
  const { file, problems } = readConfigFile(`${HEAD}${text}`);
  expect(problems).toEqual([]);
  return Object.fromEntries(Object.values(file.given).map(({ source, text }) => [source, text]));
}

test("the file of kubeadm gives what kubeadm sets, and zero values are defaults", () => {
  const { data } = parse(readFileSync(KUBEADM, "utf8"));
  const { file, problems } = readConfigFile(data["config.conf"]);
  expect(problems).toEqual([]);
  expect(file.unused.size).toBe(0);
  const texts = Object.values(file.given).map(({ source, text }) => `${source}: ${text}`);
  expect(texts.filter((text) => !/: (?:false|0|0s)$/.test(text)).toSorted()).toEqual([
    "bindAddress: 0.0.0.0",
    "clientConnection.kubeconfig: /var/lib/kube-proxy/kubeconfig.conf",
    "clusterCIDR: 10.244.0.0/16",
  ]);
  expect(file.given.syncPeriodMs).toBeUndefined();
});

describe("values", () => {
  test.each([
    ["ipvs: { strictARP: yes }", { "ipvs.strictARP": "true" }],
    ["iptables: { masqueradeBit: 0 }", { "iptables.masqueradeBit": "0" }],
    [
      "conntrack: { maxPerCore: 0, tcpEstablishedTimeout: 0s }",
      { "conntrack.maxPerCore": "0", "conntrack.tcpEstablishedTimeout": "0s" },
    ],
    ["nodePortAddresses: [10.0.0.0/8, fd00::/8]", { nodePortAddresses: "10.0.0.0/8,fd00::/8" }],
    ["nodePortAddresses: []", {}],
    ["ipvs: { syncPeriod: 0s, minSyncPeriod: 0s }", { "ipvs.minSyncPeriod": "0s" }],
    ["ipvs:", {}],
    [
      "kubeIpvs: { drainTimeout: 0s, localTrafficMarkMask: 0x107f }",
      { "kubeIpvs.drainTimeout": "0s", "kubeIpvs.localTrafficMarkMask": "4223" },
    ],
    ["bindAddress: '::'", { bindAddress: "::" }],
  ])("%s", (text, expected) => {
    expect(given(text)).toEqual(expected);
  });

  test("JSON is accepted", () => {
    const json = '{"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration", "mode": "ipvs"}';
    expect(readConfigFile(json)).toMatchObject({ problems: [], file: { given: { mode: { text: "ipvs" } } } });
  });
});

test("settings without effect are named only if they are not zero", () => {
  const text =
    "iptables: { syncPeriod: 30s, minSyncPeriod: 0s }\nenableProfiling: true\nfeatureGates: {}\noomScoreAdj: -998";
  const { file } = readConfigFile(`${HEAD}${text}`);
  expect([...file.unused.keys()].toSorted()).toEqual(["enableProfiling", "iptables.syncPeriod", "oomScoreAdj"]);
});

describe("faults", () => {
  test.each([
    ["ipvs: { schedular: rr }", ['Unknown key "ipvs.schedular": did you mean ipvs.scheduler?']],
    ["ipvs: { strictArp: true }", ['Unknown key "ipvs.strictArp": did you mean ipvs.strictARP?']],
    [
      "syncPeriod: 30s",
      ['Unknown key "syncPeriod": did you mean iptables.syncPeriod, ipvs.syncPeriod or nftables.syncPeriod?'],
    ],
    ["drainTimeout: 30s", ['Unknown key "drainTimeout": did you mean kubeIpvs.drainTimeout?']],
    ["ipvs: { bogus: 1 }", ['Unknown key "ipvs.bogus"']],
    [
      "ipvs: { syncPeriod: 30 }",
      ['Invalid ipvs.syncPeriod "30": must be a duration in the form "30s", "1h15m" or "250ms"'],
    ],
    ["ipvs: rr", ['Invalid ipvs "rr": must be a mapping of keys']],
    ["ipvs: { excludeCIDRs: 10.0.0.0/8 }", ['Invalid ipvs.excludeCIDRs "10.0.0.0/8": must be a list of texts']],
    ["ipvs: { excludeCIDRs: [10.0.0.0/8, 7] }", ['Invalid ipvs.excludeCIDRs.1 "7": must be text']],
    ["ipvs: { strictARP: 'true' }", ['Invalid ipvs.strictARP "true": must be true or false']],
    ["logging: { verbosity: 1.5 }", ['Invalid logging.verbosity "1.5": must be an integer']],
    ["featureGates: { A: 1 }", ['Invalid featureGates.A "1": must be true or false']],
    ["mode: ipvs\nmode: ipvs", ['Repeated key "mode", line 4']],
    ["a: [", [expect.stringMatching(/^Invalid configuration, line \d: /)]],
    ["mode: *a", [expect.stringMatching(/^Invalid configuration.*a/)]],
    ["featureGates: &a { A: *a }", [expect.stringMatching(/^Invalid /)]],
    ["logging: { vmodule: &a [*a] }", [expect.stringMatching(/^Invalid configuration: /)]],
    ["--- {}", [expect.stringMatching(/^Invalid configuration, line \d: .*multiple documents/)]],
  ])("%s", (text, expected) => {
    expect(problems(text)).toEqual(expected);
  });

  test.each([
    ["", ['Invalid configuration "null": must be a mapping of keys']],
    ["- a", ['Invalid configuration "["a"]": must be a mapping of keys']],
    [
      "apiVersion: v1\nkind: Pod",
      [
        'Invalid apiVersion "v1": must be kubeproxy.config.k8s.io/v1alpha1',
        'Invalid kind "Pod": must be KubeProxyConfiguration',
      ],
    ],
    [
      "{}",
      [
        'Invalid apiVersion "": must be kubeproxy.config.k8s.io/v1alpha1',
        'Invalid kind "": must be KubeProxyConfiguration',
      ],
    ],
  ])("the file %j is no configuration", (text, expected) => {
    expect(readConfigFile(text).problems).toEqual(expected);
  });

  test("all faults are reported at once, each with path and value", () => {
    const text = "mode: ipvs\nmode: ipvs\nipvs: { a: 1, b: 2, strictARP: 3 }\nclusterCIDR: 7\nkubeIpvs: { nodeIPs: x }";
    expect(problems(text).toSorted()).toEqual([
      'Invalid clusterCIDR "7": must be text',
      'Invalid ipvs.strictARP "3": must be true or false',
      'Invalid kubeIpvs.nodeIPs "x": must be a list of texts',
      'Repeated key "mode", line 4',
      'Unknown key "ipvs.a"',
      'Unknown key "ipvs.b"',
    ]);
  });
});

test.each([
  ["mode: { a: { <<: false } }", "line 3"],
  ["iptables:\n  <<: [{ minSyncPeriod: 1s }, 3]", "line 4"],
  ["ipvs: &a [1]\niptables:\n  <<: *a", "line 5"],
  ["iptables:\n  <<: *missing", "line 4"],
])("a merge of what is no mapping is a fault beside the others: %j", (content, line) => {
  const { problems } = readConfigFile(`${HEAD}${content}\nx: 1\n`);
  expect(problems).toContain(
    `Invalid key "<<", ${line}: its value must be a mapping, an alias of one or a list of these`,
  );
  expect(problems).toContain('Unknown key "x"');
});

test("a mapping is merged, and a quoted key is no merge", () => {
  const merged = "iptables: &a { minSyncPeriod: 2s }\nipvs: { <<: [*a, { syncPeriod: 3s }] }\n";
  expect(readConfigFile(HEAD + merged)).toMatchObject({
    file: { given: { minSyncPeriodMs: { source: "ipvs.minSyncPeriod", text: "2s" } } },
    problems: [],
  });
  expect(readConfigFile(`${HEAD}"<<": 3\n`).problems).toEqual(['Unknown key "<<"']);
});

test("any text gives problems or a configuration, and never an exception", () => {
  const value = fc.oneof(fc.jsonValue({ maxDepth: 3 }), fc.string());
  const keys = fc.constantFrom(
    "mode",
    "ipvs",
    "iptables",
    "conntrack",
    "kubeIpvs",
    "featureGates",
    "logging",
    "bindAddress",
    "x",
  );
  fc.assert(
    fc.property(fc.dictionary(keys, value), (content) => {
      const { problems } = readConfigFile(HEAD + stringify(content));
      if (Object.hasOwn(content, "x")) expect(problems).toContainEqual('Unknown key "x"');
    }),
  );
  fc.assert(fc.property(fc.string({ maxLength: 200 }), (text) => void readConfigFile(text).problems.length));
});
