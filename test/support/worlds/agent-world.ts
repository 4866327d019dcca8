import { expect } from "vitest";
import type { Errno } from "../../../src/model/kernel/errno.ts";
import { type Scheduler, virtualServer } from "../../../src/model/kernel/ipvs.ts";
import type { OperationKind } from "../../../src/model/kernel/operation.ts";
import type { ClusterEvent } from "../../../src/services/cluster-event.ts";
import { type HostileKind, hostileObject } from "../hostile/hostile-objects.ts";
import { type ServiceSpec, serviceObject, sliceObject } from "../objects/builders.ts";
import { address, realServer } from "../objects/desired.ts";
import { meddling, nth } from "./meddling.ts";
import { ADDRESSES, type NodeText, naiveNode, type SmallPort, type SmallService } from "./naive-node.ts";
import { RunningAgent } from "./running-agent.ts";
import { toldObject } from "./told-object.ts";

/*
 * The agent as a whole on a node in memory, while Services, endpoints, the kernel, other people and both clocks do what they do.
 */

/** One that is starting serves nobody yet, one that is ending only where nothing is ready. */
export type PodState = "ready" | "starting" | "ending" | "gone";

/** What can happen within a request to the kernel as well as between two. */
export type Incident =
  | { readonly kind: "service"; readonly name: string; readonly to: Omit<SmallService, "pods"> | undefined }
  /** By their index. */
  | { readonly kind: "pods"; readonly name: string; readonly states: readonly PodState[] }
  /** An object of another Service, of the Node of another node, or of a network, as somebody writes it who wants to break something. */
  | { readonly kind: "hostile"; readonly object: HostileKind; readonly seeds: readonly number[] }
  | { readonly kind: "zone"; readonly zone: string | undefined }
  | { readonly kind: "addresses"; readonly addresses: readonly string[]; readonly isTold: boolean }
  | { readonly kind: "refuse"; readonly operation: OperationKind; readonly errno: Errno; readonly times: number }
  | { readonly kind: "lose" | "fail-reads"; readonly times: number }
  | { readonly kind: "meddle"; readonly how: number; readonly pick: number }
  | { readonly kind: "connect"; readonly pick: number; readonly connections: number }
  /** Sets the wall clock. */
  | { readonly kind: "step"; readonly ms: number };

export type Act =
  | { readonly kind: "now"; readonly incident: Incident }
  /** Within the n-th request from now. */
  | { readonly kind: "within"; readonly request: number; readonly incident: Incident }
  | { readonly kind: "pass"; readonly ms: number }
  /** A new process: it knows nothing, and is told all objects. */
  | { readonly kind: "restart" };

const NODE_ADDRESSES = ["192.168.1.10", "fd01::10"];
/** What the node itself has in sets. */
const NODE_MEMBERS = ["KUBE-6-NODE-PORT-IPS fd01::10", "KUBE-NODE-PORT-IPS 192.168.1.10"];
const FOREIGN = virtualServer("TCP", address("192.0.2.1"), 80, { scheduler: "rr" as Scheduler });
const FOREIGN_TEXT = { [FOREIGN.key]: ["-A -t 192.0.2.1:80 -s rr", "-a -t 192.0.2.1:80 -r 192.0.2.7:80 -m -w 3"] };
const SLICE_PORTS = [53, 80].flatMap((port) => [portObject("TCP", port), portObject("UDP", port)]);
/** Longer than connections may drain, than the longest backoff and the time between two looks. */
const CALM_MS = 20 * 60_000;

function portObject(protocol: SmallPort["protocol"], port: number) {
  return { name: `${protocol.toLowerCase()}${port}`, protocol, port };
}

export class AgentWorld implements AsyncDisposable {
  #agent = this.#start();
  readonly #services = new Map<string, Omit<SmallService, "pods">>();
  readonly #pods = new Map<string, readonly PodState[]>();
  /** Events of what is there, by kind and name; and what ends it. */
  readonly #objects = new Map<string, { readonly event: ClusterEvent; readonly end: ClusterEvent }>();
  readonly #hostile = new Set<string>();
  #coming: { left: number; readonly incident: Incident }[] = [];

  /** With somebody else's virtual server, and without Services. */
  static async create(): Promise<AgentWorld> {
    const world = new AgentWorld();
    await world.#tellAgain();
    await world.#agent.rest();
    const { kernel } = world.#agent;
    kernel.meddle({ kind: "add-virtual-server", server: FOREIGN });
    kernel.meddle({ kind: "add-real-server", server: FOREIGN, real: realServer(address("192.0.2.7"), 80, 3) });
    return world;
  }

  async perform(act: Act): Promise<void> {
    switch (act.kind) {
      case "now":
        this.#happen(act.incident);
        break;
      case "within":
        this.#coming.push({ left: act.request, incident: act.incident });
        return;
      case "pass":
        await this.#agent.rest(act.ms);
        return;
      case "restart":
        await this.#agent[Symbol.asyncDispose]();
        this.#agent = this.#start(this.#agent);
        await this.#tellAgain();
    }
    await this.#agent.rest();
  }

  /** Ends all faults and what is hostile, and lets the agent come right. */
  async calm(): Promise<void> {
    const { kernel } = this.#agent;
    this.#coming = [];
    kernel.heal();
    for (const [key, { reals }] of kernel.servers())
      for (const real of reals.keys()) kernel.setConnections(key, real, { active: 0, inactive: 0 });
    for (const name of this.#hostile) this.#end(name);
    this.#happen({ kind: "addresses", addresses: NODE_ADDRESSES, isTold: true });
    // A node whose Node is gone is leaving, and load balancers shall know.
    this.#happen({ kind: "zone", zone: "a" });
    await this.#agent.rest(CALM_MS);
  }

  /** What the kernel holds. */
  get node(): NodeText {
    const { kernel } = this.#agent;
    return { servers: kernel.ipvsadm(), addresses: kernel.addresses(), members: kernel.members() };
  }

  /** What it should hold. */
  get wanted(): NodeText {
    const services = [...this.#services].map(([name, service]): [string, SmallService] => [
      name,
      { ...service, pods: serving(this.#pods.get(name) ?? []) },
    ]);
    const node = naiveNode(new Map(services), FOREIGN_TEXT);
    return { ...node, members: [...new Set([...node.members, ...NODE_MEMBERS])].sort() };
  }

  /** What load balancers and the kubelet are answered. */
  get answers(): object {
    const agent = this.#agent;
    return { alive: agent.isAlive(), healthy: agent.isHealthy(), ready: agent.isReady() };
  }

  /** How many operations were asked of the kernel. */
  get asked(): number {
    return this.#agent.kernel.asked.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent[Symbol.asyncDispose]();
  }

  #start(before?: RunningAgent): RunningAgent {
    const agent = new RunningAgent({ ...before, nodeAddresses: NODE_ADDRESSES });
    agent.kernel.onRequest = () => {
      const due = this.#coming.filter((one) => one.left-- === 0);
      for (const { incident } of due) this.#happen(incident);
    };
    return agent;
  }

  /** The first lists of a new process, which must write nothing for Services before they are complete. */
  async #tellAgain(): Promise<void> {
    const { kernel } = this.#agent;
    const before = kernel.asked.length;
    for (const { event } of this.#objects.values()) this.#agent.accept(event);
    await this.#agent.rest();
    expect(kernel.asked.length, "operations before the lists").toBe(before);
    this.#agent.listed("nodes", "services", "endpointslices");
  }

  #happen(incident: Incident): void {
    const { kernel, clock } = this.#agent;
    switch (incident.kind) {
      case "service":
        this.#putService(incident.name, incident.to);
        break;
      case "pods":
        this.#putPods(incident.name, incident.states);
        break;
      case "hostile":
        this.#putHostile(incident.object, incident.seeds);
        break;
      case "zone":
        if (incident.zone === undefined) this.#agent.nodeGone();
        else this.#agent.node(incident.zone);
        break;
      case "addresses":
        this.#agent.addresses(...incident.addresses);
        if (incident.isTold) this.#agent.onAddressChange();
        break;
      case "refuse":
        kernel.failOperations(({ kind }) => kind === incident.operation, incident.errno, incident.times);
        break;
      case "lose":
        kernel.loseTransportAfter(incident.times);
        break;
      case "fail-reads":
        kernel.failReads(incident.times);
        break;
      case "meddle":
        for (const operation of meddling(kernel, { ...incident, foreign: new Set([FOREIGN.key]) }))
          kernel.meddle(operation);
        break;
      case "connect": {
        const state = nth([...kernel.servers().values()], incident.pick);
        const real = nth([...(state?.reals.keys() ?? [])], incident.pick);
        const connections = { active: incident.connections, inactive: 0 };
        if (state !== undefined && real !== undefined) kernel.setConnections(state.server.key, real, connections);
        break;
      }
      case "step":
        clock.stepWall(incident.ms);
    }
  }

  #putService(name: string, to: Omit<SmallService, "pods"> | undefined): void {
    if (to === undefined) {
      this.#services.delete(name);
      this.#end(`Service ${name}`);
      return;
    }
    this.#services.set(name, to);
    const ports = to.ports.map(({ protocol, port, nodePort }) => ({
      ...portObject(protocol, port),
      ...(nodePort > 0 && { nodePort }),
    }));
    const said: ServiceSpec = { ip: ADDRESSES[to.ip] ?? "", ports, ...(to.affinity && { affinity: 10_800 }) };
    this.#put("Service", serviceObject(name, said));
  }

  /** One slice of each family. */
  #putPods(name: string, states: readonly PodState[]): void {
    this.#pods.set(name, states);
    for (const [family, ipOf] of [
      ["IPv4", (index: number) => `10.244.0.${index + 1}`],
      ["IPv6", (index: number) => `fd02::${index + 1}`],
    ] as const) {
      const endpoints = states.map((state, index) => ({
        ip: ipOf(index),
        node: "n2",
        ready: state === "ready",
        serving: state !== "gone",
        terminating: state === "ending" || state === "gone",
      }));
      const ports = SLICE_PORTS.map((port) => ({ ...port, port: 8080 }));
      this.#put(
        "EndpointSlice",
        sliceObject(`${name}-${family.toLowerCase()}`, { addressType: family, ports, endpoints }),
      );
    }
  }

  #putHostile(kind: HostileKind, seeds: readonly number[]): void {
    const name = this.#put(kind, hostileObject(kind, seeds));
    if (name !== undefined) this.#hostile.add(name);
  }

  /** Hands in an object; returns what it is called here, if it can be used. */
  #put(kind: HostileKind, object: object): string | undefined {
    const told = toldObject(kind, object);
    if (told === undefined) return undefined;
    const name = `${kind} ${told.name}`;
    this.#objects.set(name, told);
    this.#agent.accept(told.event);
    return name;
  }

  #end(name: string): void {
    const told = this.#objects.get(name);
    this.#objects.delete(name);
    if (told !== undefined) this.#agent.accept(told.end);
  }
}

/** Indexes of the pods that take new connections: those that are ready, and where there are none, those that still serve. */
function serving(states: readonly PodState[]): readonly number[] {
  const all = (wanted: PodState) => states.flatMap((state, index) => (state === wanted ? [index] : []));
  return all("ready").length > 0 ? all("ready") : all("ending");
}
