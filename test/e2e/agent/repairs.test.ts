import { afterAll, beforeAll, expect, test } from "vitest";
import { AgentProcess, ManifestFolder, type Metrics } from "../../support/node/agent-process.ts";
import { TestNode } from "../../support/node/netns.ts";
import { heldLines, heldRules } from "../../support/node/witness.ts";
import { serviceObject, sliceObject } from "../../support/objects/builders.ts";
import { eventually } from "../../support/time/eventually.ts";

/**
 * `kube_ipvs_repairs_total` counts by kind what other programs change on a real kernel, and the log names it. ipvsadm, ip, ipset and
 * iptables change and judge.
 */
let node: TestNode;
let manifests: ManifestFolder;
let agent: AgentProcess;
/** What the kernel holds before any change. */
let right: readonly string[];

const KINDS = [
  "virtual-server",
  "real-server",
  "address",
  "entry",
  "link",
  "sysctl",
  "ipvs-timeout",
  "set",
  "rules",
] as const;
type Kind = (typeof KINDS)[number];
type Counts = Readonly<Record<Kind, number>>;

beforeAll(async () => {
  manifests = await ManifestFolder.create();
  node = await TestNode.create({ pods: ["a", "b"] });
  await manifests.put("web.json", [
    serviceObject("shop/web", { ip: "10.96.1.1", ports: [{ port: 80, nodePort: 30_021 }] }),
    sliceObject("shop/web-1", { endpoints: [node.pod("a").ip, node.pod("b").ip] }),
  ]);
  agent = AgentProcess.start(node, manifests, "--ipvs-sync-period", "1s", "--ipvs-tcp-timeout", "800s");
  await agent.ready();
  await eventually(async () => expect((await held()).length).toBeGreaterThan(10), { withinMs: 30_000 });
  right = await held();
});

afterAll(async () => {
  await agent?.[Symbol.asyncDispose]();
  await node?.[Symbol.asyncDispose]();
  await manifests?.[Symbol.asyncDispose]();
});

/** The state of the kernel as its programs print it, without the order. */
async function held(): Promise<readonly string[]> {
  const rules = [...(await heldRules(node.shell, "IPv4")), ...(await heldRules(node.shell, "IPv6"))];
  const others = await node.prints(
    "ipset list -name | sort; cat /proc/sys/net/ipv4/vs/conntrack; ipvsadm -Ln --timeout; ip -o link show kube-ipvs0 | wc -l",
  );
  return [...(await heldLines(node.shell)).toSorted(), ...rules, ...others.split("\n")];
}

function counts(metrics: Metrics): Counts {
  const count = (kind: Kind) => metrics.get(`kube_ipvs_repairs_total{object="${kind}"}`);
  expect(KINDS.filter((kind) => count(kind) === undefined)).toEqual([]);
  return Object.fromEntries(KINDS.map((kind) => [kind, count(kind)])) as Counts; // has all kinds
}

const NONE = Object.fromEntries(KINDS.map((kind) => [kind, 0])) as Counts; // has all kinds

/** By how much each kind has grown, without those that have not. */
function growth(before: Counts, after: Counts): Partial<Counts> {
  return Object.fromEntries(KINDS.map((kind) => [kind, after[kind] - before[kind]]).filter(([, grown]) => grown !== 0));
}

/** Does this while the agent stands still, and resolves when it has repaired it. Returns the repairs and what the agent has logged. */
async function repaired(change: string): Promise<{ readonly repairs: Partial<Counts>; readonly log: string }> {
  const before = counts(await agent.metrics());
  const logged = agent.log.length;
  await agent.whilePaused(async () => {
    await node.prints(change);
    expect(await held()).not.toEqual(right);
  });
  await eventually(async () => expect(await held()).toEqual(right), { withinMs: 40_000, everyMs: 200 });
  // A sync counts what it has repaired when it has ended, and the next resync finds nothing more.
  const resyncs = async () => (await agent.metrics()).get("kube_ipvs_resync_duration_seconds_count") ?? 0;
  const ended = await resyncs();
  await eventually(async () => expect(await resyncs()).toBeGreaterThan(ended + 1), { withinMs: 20_000, everyMs: 200 });
  return { repairs: growth(before, counts(await agent.metrics())), log: agent.log.slice(logged) };
}

test("nothing is counted before another program changes something", async () => {
  expect(growth(NONE, counts(await agent.metrics()))).toEqual({});
});

test("a real server, an address and a member of a set are counted, and one line of the log names them", async () => {
  const { repairs, log } = await repaired(
    [
      `ipvsadm -d -t 10.96.1.1:80 -r ${node.pod("a").ip}:8080`,
      "ip address del 10.96.1.1/32 dev kube-ipvs0",
      "ipset del KUBE-CLUSTER-IP 10.96.1.1,tcp:80",
    ].join(" && "),
  );
  expect(repairs).toEqual({ "real-server": 1, address: 1, entry: 1 });
  expect(log).toMatch(
    /the kernel state differs from the last sync: another process changed it repaired="(?=.*1 real server missing)(?=.*1 address missing)(?=.*1 set member missing)/,
  );
});

// Of such changes the log has a line a minute at most, and of a flush another one.
test("a virtual server is counted", async () => {
  expect((await repaired("ipvsadm -D -t 10.96.1.1:80")).repairs).toEqual({ "virtual-server": 1 });
});

test("all virtual servers are counted after a flush, which the log names", async () => {
  const { repairs, log } = await repaired("ipvsadm -C");
  expect(repairs).toEqual({
    "virtual-server": right.filter((line) => line.startsWith("-A ") && !line.includes("KUBE-")).length,
  });
  expect(log).toContain("another process flushed IPVS: all virtual servers were deleted and are added again");
});

test.each<[string, string, Partial<Counts>, string]>([
  [
    "kube-ipvs0, with its address",
    "ip link del kube-ipvs0",
    { link: 1, address: 1 },
    'created interface \\"kube-ipvs0\\"',
  ],
  ["a sysctl", "sysctl -qw net.ipv4.vs.conntrack=0", { sysctl: 1 }, "set net/ipv4/vs/conntrack from 0 to 1"],
  ["an IPVS timeout", "ipvsadm --set 777 0 0", { "ipvs-timeout": 1 }, "set IPVS timeout tcp from 777 s to 800 s"],
  ["a table of rules", "iptables -t nat -F KUBE-SERVICES", { rules: 1 }, 'wrote table \\"nat\\" of IPv4'],
])("%s is counted, and the log names it", async (_, change, expected, line) => {
  const { repairs, log } = await repaired(change);
  expect(repairs).toEqual(expected);
  expect(log).toContain(line);
});

test("a set is counted, with its member and the rules that were deleted before it", async () => {
  const rules = ["nat", "filter", "mangle"].map((table) => `iptables -t ${table} -F`);
  const { repairs, log } = await repaired([...rules, "ipset destroy KUBE-NODE-PORT-TCP"].join(" && "));
  expect(repairs).toMatchObject({ set: 1, entry: 1, rules: expect.any(Number) });
  expect(log).toContain('created set \\"KUBE-NODE-PORT-TCP\\"');
});
