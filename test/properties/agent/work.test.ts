import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { expect, test } from "vitest";
import { portKey, serviceName } from "../../../src/model/cluster/service.ts";
import type { ServiceSpec, SliceSpec } from "../../support/objects/builders.ts";
import { WorkCounter } from "../../support/time/work-counter.ts";
import type { RunningAgent } from "../../support/worlds/running-agent.ts";

/** Started before the product's code is loaded, as V8 counts only in code that it compiles afterwards. */
const counter = new WorkCounter();
const support = await import("../../support/worlds/running-agent.ts");
const { LocalMarks } = await import("../../../src/desired/local-marks.ts");

const { STRESS = "1" } = process.env;
/** Frontends of the small and of the large cluster that are compared. */
const SMALL = Number(STRESS) > 1 ? 1_000 : 300;
const LARGE = Number(STRESS) > 1 ? 20_000 : 1_800;
/** The allowed factor above linear cost. The count varies a little with the turns of the loop; a quadratic search in one of six places doubles it. */
const MOST_GROWTH = 1.9;

const ip = (net: number, index: number): string => `${net}.${index >> 16}.${(index >> 8) & 255}.${index & 255}`;
const ips = (net: number, count: number) => Array.from({ length: count }, (_, index) => ip(net, index));
const ports = (count: number, said: (index: number) => object = () => ({})) =>
  Array.from({ length: count }, (_, index) => ({ name: `p${index}`, port: 1_000 + index, ...said(index) }));

/** A cluster of `n` frontends in all. */
interface Cluster {
  readonly services: Readonly<Record<string, ServiceSpec>>;
  readonly slice: SliceSpec;
}

const ENDPOINTS = [{ ip: "10.244.1.1", node: "n1" }, "10.244.2.1"];

function one(said: ServiceSpec, portCount: number): Cluster {
  return { services: { "a/one": said }, slice: { ports: ports(portCount), endpoints: ENDPOINTS } };
}

/** A Service that lists more is a problem. */
const MOST_IPS = 9_000;

/** Shapes of clusters: how many frontends one Service or one address has. */
const SHAPES: Readonly<Record<string, (n: number) => Cluster>> = {
  "one Service of many ports": (n) => one({ ports: ports(n) }, n),
  "one Service of many external IPs": (n) => one({ externalIPs: ips(203, Math.min(n, MOST_IPS)), ports: ports(1) }, 1),
  "one Service of many ports and external IPs": (n) => {
    const side = Math.ceil(Math.sqrt(n));
    return one({ externalIPs: ips(203, side), ports: ports(side) }, side);
  },
  "one Service of many UDP ports": (n) => {
    const udp = ports(n, () => ({ protocol: "UDP" }));
    return { services: { "a/one": { ports: udp } }, slice: { ports: udp, endpoints: ENDPOINTS } };
  },
  "one Service of many NodePorts": (n) =>
    one({ ports: ports(n / 2, (index) => ({ nodePort: 30_000 + index })) }, n / 2),
  "one Service of many NodePorts under the policy Local": (n) =>
    one({ external: "Local", ports: ports(n / 2, (index) => ({ nodePort: 30_000 + index })) }, n / 2),
  "two Services with the same external IPs": (n) => {
    const said = { externalIPs: ips(203, n / 2), ports: ports(1) };
    const services = { "a/one": { ...said, ip: "10.96.0.1" }, "a/two": { ...said, ip: "10.96.0.2" } };
    return { services, slice: { ports: ports(1), endpoints: ENDPOINTS } };
  },
  "many Services with one external IP and port": (n) => {
    const said = (index: number): [string, ServiceSpec] => [
      `a/s${index}`,
      { ip: ip(10, index), externalIPs: ["203.0.113.1"], ports: ports(1) },
    ];
    const services = Object.fromEntries(Array.from({ length: n / 2 }, (_, index) => said(index)));
    return { services, slice: { ports: ports(1), endpoints: ENDPOINTS } };
  },
  "many Services on one external IP": (n) => {
    const said = (index: number): [string, ServiceSpec] => [
      `a/s${index}`,
      { ip: ip(10, index), externalIPs: ["203.0.113.1"], ports: [{ name: "p0", port: 1_000 + index }] },
    ];
    const services = Object.fromEntries(Array.from({ length: n / 2 }, (_, index) => said(index)));
    return { services, slice: { ports: ports(1), endpoints: ENDPOINTS } };
  },
  "many Services of one port": (n) => {
    const services = Object.fromEntries(
      Array.from({ length: n }, (_, index) => [`a/s${index}`, { ip: ip(10, index), ports: ports(1) }]),
    );
    return { services, slice: { ports: ports(1), endpoints: ENDPOINTS } };
  },
  "many Services of two UDP ports under the policy Local": (n) => {
    const udp = ports(2, () => ({ protocol: "UDP" }));
    const said = (index: number): [string, ServiceSpec] => [
      `a/s${index}`,
      { ip: ip(10, index), externalIPs: [ip(203, index)], external: "Local", ports: udp },
    ];
    const services = Object.fromEntries(Array.from({ length: n / 4 }, (_, index) => said(index)));
    return { services, slice: { ports: udp, endpoints: ENDPOINTS } };
  },
  "one Service of many source ranges": (n) =>
    one({ loadBalancerIPs: ips(203, 2), ports: ports(1), sourceRanges: ips(198, n / 2).map((ip) => `${ip}/32`) }, 1),
  "one Service of many endpoints": (n) => ({
    services: { "a/one": { ports: ports(2), externalIPs: ["203.0.113.1"] } },
    slice: { ports: ports(2), endpoints: ips(10, n / 4) },
  }),
};

/** The cost of a cluster, in executed blocks of the product's code. */
interface Costs {
  readonly add: number;
  readonly endpoint: number;
  readonly nodeAddress: number;
  readonly remove: number;
  readonly other: number;
}

/** Advances a second, then applies these events, five at a time, and lets the agent do all work that is due. */
async function settle(agent: RunningAgent, ms: number, turn: () => Promise<unknown> = setImmediate): Promise<void> {
  for (let passed = 0; passed <= ms; passed += 5_000) {
    await agent.clock.advance(passed === 0 ? 1_000 : 5_000);
    // A Service of 10,000 frontends takes about 40 turns until it has a visible effect.
    for (let seen = -1, quiet = 0; quiet < 60; quiet++) {
      await turn();
      const now = agent.kernel.asked.length + agent.notices.length + agent.log.length;
      if (now > seen) quiet = 0;
      seen = now;
    }
  }
}

async function costsOf({ services, slice }: Cluster): Promise<Costs> {
  await using agent = new support.RunningAgent({ nodeAddresses: ["192.168.1.10", "192.168.1.11"] });
  agent.listed("nodes", "services", "endpointslices");
  await settle(agent, 0);
  const cost = async (act: () => void, ms = 0): Promise<number> => {
    counter.take();
    act();
    await settle(agent, ms);
    let sum = counter.take();
    // Problems beyond the report limit are still examined, some in each turn.
    for (let more = sum; more > 0; sum += more) {
      for (let turn = 0; turn < 60; turn++) await setImmediate();
      more = counter.take();
    }
    return sum;
  };
  const names = Object.keys(services);
  const slices = (more: readonly string[]): void => {
    const endpoints = [...(slice.endpoints ?? []), ...more];
    for (const name of names) agent.slice(`${name}-1`, { ...slice, endpoints });
  };
  const add = await cost(() => {
    for (const [name, said] of Object.entries(services)) agent.service(name, said);
    slices([]);
  });
  const endpoint = await cost(() => slices(["10.244.3.1"]));
  const other = await cost(() => agent.service("b/other", { ip: "10.99.0.1" }));
  const nodeAddress = await cost(() => {
    agent.addresses("192.168.1.10");
    agent.onAddressChange();
  }, 40_000);
  const remove = await cost(() => {
    for (const name of names) agent.serviceGone(name);
  }, 10_000);
  expect([...agent.kernel.servers().keys()]).toEqual(["TCP/10.99.0.1:80"]);
  return { add, endpoint, nodeAddress, remove, other };
}

test.each(Object.entries(SHAPES))(
  "the cost of %s is linear, and the cost of another Service is constant",
  async (_, shape) => {
    const [small, large] = [await costsOf(shape(SMALL)), await costsOf(shape(LARGE))];
    const growth = (phase: keyof Costs) => large[phase] / small[phase] / (LARGE / SMALL);
    const factors = {
      add: growth("add"),
      endpoint: growth("endpoint"),
      nodeAddress: growth("nodeAddress"),
      remove: growth("remove"),
    };
    for (const [phase, factor] of Object.entries(factors)) expect(factor, phase).toBeLessThan(MOST_GROWTH);
    expect(large.other / small.other, "another Service").toBeLessThan(MOST_GROWTH);
  },
);

test("the cost of a port that waits for a mark does not depend on the number of waiting ports", () => {
  const costOf = (services: number): number => {
    const marks = new LocalMarks(127);
    const udp = [portKey("a", "UDP"), portKey("b", "UDP")];
    counter.take();
    for (let index = 0; index < services; index++) marks.replace(serviceName("a", `s${index}`), udp);
    for (let index = 0; index < services; index++) marks.replace(serviceName("a", `s${index}`), []);
    return counter.take() / services;
  };
  expect(costOf(4_000) / costOf(1_000)).toBeLessThan(1.6);
});

/** Blocks of code in one turn of the event loop: 20 to 30 ms on a slow host. With 10,000 frontends a quadratic cost would be 10^8. */
const BUDGET = 3_000_000;

/** A Service written to stop the agents of a cluster. */
interface Hostile {
  readonly ports: number;
  readonly externalIPs: number;
  readonly endpoints: number;
  readonly hasNodePorts: boolean;
  readonly isLocal: boolean;
  readonly ranges: number;
  readonly protocol: string;
}

const size = fc.constantFrom(1, 3, 30, 200, 3_000);
const hostile: fc.Arbitrary<Hostile> = fc.record({
  ports: size,
  externalIPs: fc.oneof(fc.constant(0), size),
  endpoints: size,
  hasNodePorts: fc.boolean(),
  isLocal: fc.boolean(),
  ranges: fc.constantFrom(0, 3, 3_000),
  protocol: fc.constantFrom("TCP", "UDP"),
});

function write(agent: RunningAgent, name: string, one: Hostile, endpoints: readonly string[]): void {
  const { ports: count, externalIPs, hasNodePorts, isLocal, ranges, protocol } = one;
  const list = ports(count, (index) => ({ protocol, ...(hasNodePorts && { nodePort: 30_000 + index }) }));
  const address = `10.96.0.${name.length}`;
  const external = isLocal ? "Local" : "Cluster";
  const restricted = { loadBalancerIPs: ips(202, 20), sourceRanges: ips(198, ranges).map((ip) => `${ip}/32`) };
  const balanced = ranges === 0 ? {} : restricted;
  agent.service(name, { ip: address, ports: list, externalIPs: ips(203, externalIPs), external, ...balanced });
  agent.slice(`${name}-1`, { ports: list, endpoints: endpoints.map((one) => ({ ip: one, node: "n1" })) });
}

/** Each address is unbound after its real servers are deleted: all of them were once read for each address. */
const MANY_ADDRESSES: Hostile = {
  ports: 1,
  externalIPs: 3_000,
  endpoints: 200,
  hasNodePorts: false,
  isLocal: false,
  ranges: 0,
  protocol: "TCP",
};

test("no turn of the event loop exceeds its budget while any Services are added, changed and deleted", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(hostile, { minLength: 1, maxLength: 2 }), async (services) => {
      await using agent = new support.RunningAgent({ nodeAddresses: ["192.168.1.10", "192.168.1.11"] });
      agent.kernel.takesTurns = true;
      agent.listed("nodes", "services", "endpointslices");
      await settle(agent, 0);
      const names = services.map((_, index) => `a/${"s".repeat(index + 1)}`);
      const turn = async (): Promise<void> => {
        await setImmediate();
        const work = counter.take();
        if (work >= BUDGET) expect.fail(`A turn took ${work} units of work: ${counter.top(8).join(", ")}`);
      };
      const act = async (what: (one: Hostile, name: string) => void): Promise<void> => {
        for (const [index, one] of services.entries()) what(one, names[index] ?? "");
        // Each object is decoded separately, as its own event.
        counter.take();
        await settle(agent, 5_000, turn);
      };
      await act((one, name) => write(agent, name, one, ips(11, one.endpoints)));
      await act((one, name) => write(agent, name, one, ips(12, one.endpoints)));
      await act((_, name) => agent.serviceGone(name));
      expect(agent.kernel.servers().size).toBe(0);
    }),
    { numRuns: 1 + Number(STRESS), endOnFailure: true, examples: [[[MANY_ADDRESSES]]] },
  );
});
