import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { finished } from "../support/node/namespace.ts";
import { isMissing } from "../support/run/missing.ts";

const ROOT = join(import.meta.dirname, "../..");
const { spec } = parse(
  readFileSync(join(ROOT, "manifests/components/monitoring/objects/prometheus-rule.yaml"), "utf8"),
);
const page = readFileSync(join(ROOT, "docs/alerts.md"), "utf8");

interface AlertCase {
  readonly alert: string;
  /** Samples a minute, in promtool's notation, that make the alert fire, and those that do not. */
  readonly firing: Readonly<Record<string, string>>;
  readonly quiet: Readonly<Record<string, string>>;
  /** Minutes after which it fires; a quarter of them before, it does not. */
  readonly minutes: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly summary: string;
}

const HERE = `instance="10.0.0.1:10249",job="kube-proxy",node="n1"`;
const AT = { instance: "10.0.0.1:10249", job: "kube-proxy", node: "n1" };
const NODE = { instance: "10.0.0.1:10249", node: "n1" };
const series = (name: string, labels = "") => `${name}{${HERE}${labels && `,${labels}`}}`;
const MARKS = 'ip_family="IPv4",set="KUBE-LOCAL-MARK-SERVERS"';
const minutes = (count: number, each: number, first = 0) => `${first}+${each}x${count}`;

/** A counter or gauge alone. */
const metric = (name: string, firing: string, quiet: string, labels = "") => ({
  firing: { [series(name, labels)]: firing },
  quiet: { [series(name, labels)]: quiet },
});

const bucket = (le: string) =>
  series("kubeproxy_network_programming_duration_seconds_bucket", `ip_family="IPv4",le="${le}"`);

const CASES: readonly AlertCase[] = [
  {
    alert: "KubeIpvsAgentDown",
    ...metric("up", "0x60", "0x8 1 0x8 1 0x8 1 0x8 1x60"),
    minutes: 11,
    labels: { ...AT, severity: "warning" },
    summary: "The agent on node n1 has answered no scrape for 10 minutes. Changes of Services do not reach the node.",
  },
  {
    alert: "KubeIpvsAllAgentsDown",
    firing: { [series("up")]: "0x60" },
    quiet: { [series("up")]: "0x60", 'up{instance="b",job="kube-proxy",node="n2"}': "1x60" },
    minutes: 6,
    labels: { severity: "critical" },
    summary: "No agent has answered a scrape for 5 minutes.",
  },
  {
    alert: "KubeIpvsObjectsFailed",
    ...metric("kube_ipvs_failed_objects", "3x60", "3x3 0x60"),
    minutes: 6,
    labels: { ...AT, severity: "warning" },
    summary: "The kernel of node n1 refuses 3 objects of Services.",
  },
  {
    alert: "KubeIpvsWorkWaits",
    firing: {
      [series("kube_ipvs_oldest_pending_timestamp_seconds")]: "60x60",
      [series("kube_ipvs_failed_objects")]: "0x60",
    },
    // No work, or failed objects, which another alert is for.
    quiet: {
      [series("kube_ipvs_oldest_pending_timestamp_seconds")]: "0x10 60x60",
      [series("kube_ipvs_failed_objects")]: "0x10 1x60",
    },
    minutes: 5,
    labels: { ...AT, severity: "critical" },
    summary: "On node n1 changes of Services have waited for 4m 0s.",
  },
  {
    alert: "KubeIpvsChangesSlow",
    firing: {
      [bucket("10")]: minutes(60, 98),
      [bucket("30")]: minutes(60, 98),
      [bucket("60")]: minutes(60, 100),
      [bucket("+Inf")]: minutes(60, 100),
    },
    quiet: {
      [bucket("10")]: minutes(60, 100),
      [bucket("30")]: minutes(60, 100),
      [bucket("60")]: minutes(60, 100),
      [bucket("+Inf")]: minutes(60, 100),
    },
    minutes: 15,
    labels: { ...NODE, severity: "warning" },
    summary: "On node n1 one of 100 changes of endpoints takes 45s from the control plane to the kernel.",
  },
  {
    alert: "KubeIpvsKernelUnavailable",
    ...metric("kube_ipvs_kernel_failures_total", minutes(60, 2), "0x5 1x60"),
    minutes: 15,
    labels: { ...AT, severity: "critical" },
    summary: "On node n1 requests to the kernel fail.",
  },
  {
    alert: "KubeIpvsNodeProblem",
    ...metric("kube_ipvs_node_problems", "2x60", "2x3 0x60"),
    minutes: 6,
    labels: { ...AT, severity: "warning" },
    summary: "Node n1 lacks 2 of what Services need (sysctl, set, rule).",
  },
  {
    alert: "KubeIpvsNodeNotFound",
    ...metric("kube_ipvs_node_found", "0x60", "0x3 1x60"),
    minutes: 6,
    labels: { ...AT, severity: "critical" },
    summary:
      "There is no Node of the name that the agent at 10.0.0.1:10249 has. Policies Local and hints see no local endpoint.",
  },
  {
    alert: "KubeIpvsRulesNotWritten",
    ...metric(
      "kubeproxy_sync_proxy_rules_iptables_restore_failures_total",
      minutes(60, 1),
      "0x5 1x60",
      'ip_family="IPv6"',
    ),
    minutes: 15,
    labels: { ...AT, ip_family: "IPv6", severity: "critical" },
    summary: "On node n1 the IPv6 rules of iptables cannot be written.",
  },
  {
    alert: "KubeIpvsApiServerUnreachable",
    firing: {
      [series("kube_ipvs_watch_last_contact_timestamp_seconds", 'resource="services"')]: "60x60",
      [series("kube_ipvs_watch_last_contact_timestamp_seconds", 'resource="nodes"')]: "120x60",
    },
    // 0: not connected yet; one resource that is quiet is not a server that is away.
    quiet: {
      [series("kube_ipvs_watch_last_contact_timestamp_seconds", 'resource="services"')]: "60x60",
      [series("kube_ipvs_watch_last_contact_timestamp_seconds", 'resource="nodes"')]: minutes(60, 60),
    },
    minutes: 9,
    labels: { ...NODE, severity: "critical" },
    summary: "The agent on node n1 has received nothing from an API server for 7m 0s.",
  },
  {
    alert: "KubeIpvsChangesDoNotArrive",
    ...metric("kube_ipvs_watch_last_progress_timestamp_seconds", "60x60", minutes(60, 60, 1), 'resource="services"'),
    minutes: 20,
    labels: { ...AT, resource: "services", severity: "critical" },
    summary: "The agent on node n1 may have missed changes of services for 19m 0s.",
  },
  {
    alert: "KubeIpvsDrift",
    ...metric("kube_ipvs_repairs_total", minutes(60, 2), "0x5 20x60", 'object="virtual-server"'),
    minutes: 30,
    labels: { ...NODE, object: "virtual-server", severity: "warning" },
    summary: "On node n1 another program changes the objects of Services (virtual-server).",
  },
  {
    alert: "KubeIpvsOtherProxy",
    // A rolling change: both run for some minutes, and the metric remembers it for ten.
    ...metric("kube_ipvs_other_proxies", "1x60", "0x5 1x17 0x60"),
    minutes: 24,
    labels: { ...AT, severity: "warning" },
    summary: "On node n1 another service proxy works besides kube-ipvs, and both write the same objects.",
  },
  {
    alert: "KubeIpvsHealthCheckPortRefused",
    ...metric("kube_ipvs_health_check_ports", "1x60", "1x3 0x60", 'state="refused"'),
    minutes: 6,
    labels: { ...AT, severity: "warning", state: "refused" },
    summary: "On node n1 1 health check node ports cannot be opened. Load balancers send no traffic there.",
  },
  {
    alert: "KubeIpvsConfigInvalid",
    ...metric("kube_ipvs_config_last_reload_successful", "0x60", "0x3 1x60"),
    minutes: 6,
    labels: { ...AT, severity: "warning" },
    summary:
      "On node n1 the configuration file has become invalid. The agent uses the earlier one and would not start again.",
  },
  {
    alert: "KubeIpvsSetNearlyFull",
    firing: {
      [series("kube_ipvs_set_members", MARKS)]: "240x60",
      [series("kube_ipvs_set_member_limit", MARKS)]: "256x60",
    },
    quiet: {
      [series("kube_ipvs_set_members", MARKS)]: "250x10 200x60",
      [series("kube_ipvs_set_member_limit", MARKS)]: "256x60",
    },
    minutes: 16,
    labels: { ...AT, ip_family: "IPv4", set: "KUBE-LOCAL-MARK-SERVERS", severity: "warning" },
    summary: "On node n1 the IP set KUBE-LOCAL-MARK-SERVERS is 93.75% full. A full set refuses further Services.",
  },
  {
    alert: "KubeIpvsServiceProblem",
    ...metric("kube_ipvs_problems", "4x60", "4x12 0x60"),
    minutes: 16,
    labels: { severity: "info" },
    summary: "4 fields of Services or EndpointSlices are invalid or not served.",
  },
];

const folder = mkdtempSync(join(tmpdir(), "kube-ipvs-alerts-"));
const rules = join(folder, "rules.yaml");
writeFileSync(rules, stringify(spec));
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs a test of promtool: at each of these minutes the alert fires with these labels and annotations, or not. */
async function promtoolTest(
  alert: string,
  input: Readonly<Record<string, string>>,
  expected: readonly { readonly minute: number; readonly alerts: readonly object[] }[],
) {
  const file = join(folder, `${alert}.yaml`);
  const tests = [
    {
      interval: "1m",
      input_series: Object.entries(input).map(([name, values]) => ({ series: name, values })),
      alert_rule_test: expected.map(({ minute, alerts }) => ({
        eval_time: `${minute}m`,
        alertname: alert,
        exp_alerts: alerts,
      })),
    },
  ];
  writeFileSync(file, stringify({ rule_files: [rules], evaluation_interval: "1m", tests }));
  return finished(["promtool", "test", "rules", file]);
}

const SUCCESS = { code: 0, out: expect.stringContaining("SUCCESS") };

test("there is a case for each alert", () => {
  expect(CASES.map(({ alert }) => alert)).toEqual(spec.groups[0].rules.map((rule: { alert: string }) => rule.alert));
});

test("each alert has a section in docs/alerts.md: meaning, check and cure", () => {
  const sections = page.split(/^## /m).slice(1);
  expect(sections.map((section) => section.split("\n", 1)[0])).toEqual(CASES.map(({ alert }) => alert));
  for (const section of sections) expect(section).toMatch(/\*\*Means:\*\*[\s\S]+\*\*Confirm:\*\*[\s\S]+\*\*Do:\*\*/);
});

describe.skipIf(isMissing("promtool"))("promtool", () => {
  test("accepts the rules", async () => {
    expect(await finished(["promtool", "check", "rules", rules])).toMatchObject(SUCCESS);
  });

  test.each(CASES)(
    "$alert fires, and not before its time",
    async ({ alert, firing, minutes: minute, labels, summary }) => {
      const annotations = { summary, runbook: `docs/alerts.md#${alert.toLowerCase()}` };
      const alerts = [{ exp_labels: labels, exp_annotations: annotations }];
      const expected = [
        { minute: Math.floor(minute / 4), alerts: [] },
        { minute, alerts },
      ];
      expect(await promtoolTest(alert, firing, expected)).toMatchObject(SUCCESS);
      // The test of promtool itself can fail.
      expect(await promtoolTest(alert, firing, [{ minute, alerts: [] }])).toMatchObject({ code: 1 });
    },
  );

  test.each(CASES)("$alert does not fire for what is short or harmless", async ({ alert, quiet }) => {
    const expected = Array.from({ length: 60 }, (_, minute) => ({ minute, alerts: [] }));
    expect(await promtoolTest(alert, quiet, expected)).toMatchObject(SUCCESS);
  });
});
