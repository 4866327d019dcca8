import { virtualServerKey } from "../../../src/model/kernel/ipvs.ts";
import { address } from "../objects/desired.ts";
import { RunningAgent } from "../worlds/running-agent.ts";

/** The same numbers each time, from 0 to 1. */
function* numbers(): Generator<number, never> {
  for (let state = 7; ; ) {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    yield state / 2_147_483_648;
  }
}

const STEP_MS = 10_000;
const STEPS = 330;
const NAMES = ["web", "cart", "orders", "search", "payments", "users", "mail", "images", "events", "auth"];
const NAMESPACES = ["shop", "billing", "platform", "monitoring", "logging", "staging"];

/**
 * An agent after an hour of work, with this number of Services: most are fine, some have no endpoint, a real server drains, and
 * the kernel refuses one real server.
 */
export async function busyNode(services: number): Promise<RunningAgent> {
  const agent = new RunningAgent({ nodeAddresses: ["192.168.1.10"], settings: { clusterCidrs: "10.244.0.0/16" } });
  agent.node("zone-a");
  agent.listed("nodes", "servicecidrs");
  await pastHour(agent);
  for (let number = 0; number < services; number++) addService(agent, number);
  addRefused(agent);
  agent.listed("endpointslices", "services");
  await settled(agent);
  connect(agent);
  await drift(agent);
  agent.slice("shop/web-1", { endpoints: pods(0).slice(1) });
  await settled(agent);
  return agent;
}

function pods(number: number): { readonly ip: string; readonly ready: boolean; readonly node: string }[] {
  return [2, 3, 4].map((last) => ({
    ip: `10.244.${(number >> 6) & 255}.${((number & 63) << 2) + last - 1}`,
    ready: last < 4 || number % 11 !== 3,
    node: `n${last}`,
  }));
}

function nameOf(number: number): string {
  const round = Math.floor(number / (NAMES.length * NAMESPACES.length));
  const namespace = NAMESPACES[Math.floor(number / NAMES.length) % NAMESPACES.length];
  return `${namespace}/${NAMES[number % NAMES.length]}${round === 0 ? "" : `-${round}`}`;
}

function addService(agent: RunningAgent, number: number): void {
  const name = nameOf(number);
  const ip = `10.96.${number >> 8}.${number & 255}`;
  const nodePort = 30_000 + number;
  const exposed = number < 600 && number % 3 === 0;
  if (number % 97 !== 13) agent.slice(`${name}-1`, { endpoints: pods(number) });
  agent.service(name, {
    ip,
    ports: [exposed ? { port: 80, nodePort } : 80],
    ...(exposed && number % 6 === 0 && { loadBalancerIPs: [`203.0.113.${number % 250}`] }),
    ...(number % 50 === 7 && { internal: "Local" }),
  });
}

/** The kernel has no memory for this real server. */
function addRefused(agent: RunningAgent): void {
  agent.slice("platform/legacy-1", { endpoints: ["10.244.250.9"] });
  agent.kernel.failOperations(
    (operation) => operation.kind === "add-real-server" && operation.real.address === address("10.244.250.9"),
    "ENOMEM",
  );
  agent.service("platform/legacy", { ip: "10.97.0.1" });
}

function connect({ kernel }: RunningAgent): void {
  const random = numbers();
  for (const [key, { reals }] of kernel.servers())
    for (const real of reals.keys()) {
      const active = Math.floor(random.next().value ** 4 * 90);
      kernel.setConnections(key, real, { active, inactive: Math.floor(active * random.next().value) });
    }
}

/** Another program deletes some real servers, and the agent repairs it. */
async function drift(agent: RunningAgent): Promise<void> {
  const key = virtualServerKey("TCP", address("10.96.0.2"), 80);
  const found = agent.kernel.servers().get(key);
  if (found === undefined) return;
  for (const real of [...found.reals.values()])
    agent.kernel.meddle({ kind: "delete-real-server", server: found.server, real });
  await agent.rest(31_000);
}

async function pastHour({ clock, history }: RunningAgent): Promise<void> {
  const random = numbers();
  let level = 3;
  for (let step = STEPS; step > 0; step--) {
    await clock.advance(STEP_MS);
    level = Math.max(1, level + (random.next().value - 0.49));
    const durationMs = level * (1 + random.next().value ** 6 * 6);
    for (const ms of [durationMs, level]) history.record({ durationMs: ms, operations: [], drift: [] });
    if (random.next().value < 0.6) history.recordProgrammed("IPv4", 40 + level * 30 * random.next().value ** 2);
  }
}

async function settled(agent: RunningAgent): Promise<void> {
  for (let turn = 0; turn < 40 && !agent.isReady(); turn++) await agent.rest(1_000);
  await agent.rest(6_000);
}
