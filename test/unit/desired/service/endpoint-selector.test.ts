import { describe, expect, test } from "vitest";
import type { DesiredService } from "../../../../src/desired/service/desired-service.ts";
import type { EndpointSpec, ServiceSpec } from "../../../support/objects/builders.ts";
import { built, membersOf } from "../../../support/objects/desired.ts";

const LOCAL: EndpointSpec = { ip: "10.244.1.5", ready: true, node: "n1" };
const LEAVING: EndpointSpec = { ip: "10.244.1.6", ready: false, serving: true, terminating: true, node: "n1" };
const REMOTE: EndpointSpec = { ip: "10.244.2.5", ready: true, node: "n2" };
const DEAD: EndpointSpec = { ip: "10.244.2.6", ready: false, serving: false, node: "n2" };
const MARK = 0x1005;

const KINDS = {
  "cluster IP": { key: "TCP/10.96.0.10:80", member: "10.96.0.10,tcp:80" },
  "external IP": { key: "TCP/198.51.100.1:80", member: "198.51.100.1,tcp:80" },
  "load balancer": { key: "TCP/203.0.113.1:80", member: "203.0.113.1,tcp:80" },
  "node port": { key: "TCP/192.168.1.10:30080", member: "192.168.1.10,tcp:30080" },
} as const;
const OUTSIDE = ["external IP", "load balancer", "node port"] as const;

function serviceStateOf(
  policies: Pick<ServiceSpec, "internal" | "external">,
  endpoints: readonly EndpointSpec[],
): DesiredService {
  const said: ServiceSpec = {
    type: "LoadBalancer",
    ports: [{ port: 80, nodePort: 30080 }],
    externalIPs: ["198.51.100.1"],
    loadBalancerIPs: ["203.0.113.1"],
    ...policies,
  };
  const markOf = () => (policies.external === "Local" ? MARK : undefined);
  return built("shop/web", said, { "shop/web-1": { endpoints } }, {}, markOf);
}

const realsOf = (state: DesiredService, key: string) =>
  state.servers
    .find(({ server }) => server.key === key)
    ?.reals.list()
    .map(({ address }) => address);
const has = (state: DesiredService, entry: string) => membersOf(state).some(({ key }) => key === entry);

/** Which clients of the frontend the rules drop. */
function dropped(state: DesiredService, kind: keyof typeof KINDS): "all" | "outside" | "none" {
  const { member } = KINDS[kind];
  if (has(state, `KUBE-DROP ${member}`)) return "all";
  return has(state, `KUBE-DROP-EXTERNAL ${member}`) ? "outside" : "none";
}

const IPS: Readonly<Record<string, EndpointSpec>> = { LOCAL, LEAVING, REMOTE, DEAD };
const IP = { LOCAL: "10.244.1.5", LEAVING: "10.244.1.6", REMOTE: "10.244.2.5" };

interface Row {
  readonly policy: "Cluster" | "Local";
  readonly there: readonly string[];
  readonly reals: readonly (keyof typeof IP)[];
  readonly drops: "all" | "outside" | "none";
}

describe("clients inside the cluster", () => {
  test.each<Row>([
    { policy: "Cluster", there: ["LOCAL", "REMOTE"], reals: ["LOCAL", "REMOTE"], drops: "none" },
    { policy: "Cluster", there: ["REMOTE"], reals: ["REMOTE"], drops: "none" },
    { policy: "Cluster", there: ["DEAD"], reals: [], drops: "none" },
    { policy: "Local", there: ["LOCAL", "REMOTE"], reals: ["LOCAL"], drops: "none" },
    { policy: "Local", there: ["LEAVING", "REMOTE"], reals: ["LEAVING"], drops: "none" },
    { policy: "Local", there: ["REMOTE"], reals: [], drops: "all" },
    { policy: "Local", there: ["DEAD"], reals: [], drops: "none" },
    { policy: "Local", there: [], reals: [], drops: "none" },
  ])("policy $policy with $there: $reals, dropped: $drops (G-10)", ({ policy, there, reals, drops }) => {
    const state = serviceStateOf(
      { internal: policy },
      there.flatMap((name) => IPS[name] ?? []),
    );
    expect(realsOf(state, KINDS["cluster IP"].key)).toEqual(reals.map((name) => IP[name]));
    expect(dropped(state, "cluster IP")).toBe(drops);
    for (const kind of OUTSIDE) expect(dropped(state, kind)).toBe("none");
  });
});

describe.each(OUTSIDE)("clients from outside at the %s", (kind) => {
  test.each<Row>([
    { policy: "Cluster", there: ["LOCAL", "REMOTE"], reals: ["LOCAL", "REMOTE"], drops: "none" },
    { policy: "Local", there: ["LOCAL", "REMOTE"], reals: ["LOCAL"], drops: "none" },
    { policy: "Local", there: ["LEAVING", "REMOTE"], reals: ["LEAVING"], drops: "none" },
    { policy: "Local", there: ["REMOTE"], reals: ["REMOTE"], drops: "outside" },
    { policy: "Local", there: ["DEAD"], reals: [], drops: "none" },
    { policy: "Local", there: [], reals: [], drops: "none" },
  ])("policy $policy with $there: $reals, dropped: $drops (G-11)", ({ policy, there, reals, drops }) => {
    const state = serviceStateOf(
      { external: policy },
      there.flatMap((name) => IPS[name] ?? []),
    );
    expect(realsOf(state, KINDS[kind].key)).toEqual(reals.map((name) => IP[name]));
    expect(dropped(state, kind)).toBe(drops);
    expect(dropped(state, "cluster IP")).toBe("none");
  });

  test.each([
    [
      ["LOCAL", "REMOTE"],
      ["LOCAL", "REMOTE"],
    ],
    [["LEAVING", "REMOTE"], ["REMOTE"]],
    [["DEAD"], []],
  ] as const)("of this node reach the cluster by mark, with %j: %j (G-12)", (there, reals) => {
    const state = serviceStateOf(
      { external: "Local" },
      there.flatMap((name) => IPS[name] ?? []),
    );
    expect(has(state, `KUBE-LOCAL-MARK ${KINDS[kind].member} skbmark 0x1005/0x107f`)).toBe(true);
    expect(realsOf(state, `FWM/IPv4/${MARK}`)).toEqual(reals.map((name) => IP[name]));
    expect(has(state, `KUBE-LOCAL-MARK-SERVERS ${MARK}`)).toBe(true);
  });
});

test("under the policy Cluster no client needs a mark", () => {
  const { servers, entries } = serviceStateOf({ external: "Cluster" }, [LOCAL, REMOTE]);
  expect(servers.filter(({ server }) => server.mark !== 0)).toEqual([]);
  expect(entries.filter(({ mark }) => mark !== undefined)).toEqual([]);
});

test("a port that gets no mark is served without it", () => {
  const said: ServiceSpec = { ports: [{ port: 80, nodePort: 30080 }], external: "Local" };
  const state = built("shop/web", said, { "shop/web-1": { endpoints: [LOCAL, REMOTE] } });
  expect(realsOf(state, KINDS["node port"].key)).toEqual([IP.LOCAL]);
  expect(state.servers).toHaveLength(2);
});

test("by packet mark session affinity is a hash of the client's address, as IPVS would otherwise keep the requested port", () => {
  const said: ServiceSpec = { ports: [{ port: 80, nodePort: 30080 }], external: "Local", affinity: 600 };
  const { servers } = built("shop/web", said, {}, {}, () => MARK);
  expect(servers.map(({ server }) => [server.key, server.scheduler, server.persistenceSeconds])).toEqual([
    ["TCP/10.96.0.10:80", "rr", 600],
    ["TCP/192.168.1.10:30080", "rr", 600],
    [`FWM/IPv4/${MARK}`, "sh", 0],
  ]);
});
