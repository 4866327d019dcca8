import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { V1Container, V1PodSpec } from "@kubernetes/client-node";
import { AgentProcess } from "../node/agent-process.ts";
import { type Finished, output } from "../node/namespace.ts";
import type { TestNode } from "../node/netns.ts";
import type { Started } from "./deployment.ts";
import { type NodeOfPod, ociConfig } from "./oci-config.ts";

/** crun keeps the state of containers there. Cgroups are left as they are: a guest has none, and a namespace not its own. */
const CRUN = ["crun", "--root", "/run/kube-ipvs-crun", "--cgroup-manager=disabled"];
/** crun refuses to run without a folder of cgroups, which the guest does not mount. */
const WITH_CGROUPS = 'mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$@"';

/** A container of a pod, as the manifest has it, and what it is started with. */
export interface ContainerOfPod {
  readonly pod: V1PodSpec;
  readonly container: V1Container;
  readonly started: Started;
}

/** The agent in a container. */
export interface AgentContainer {
  readonly agent: AgentProcess;
  /** Its exit code; undefined as long as it runs. */
  readonly exitCode: () => number | undefined;
  /** As `kill -9` of the agent; crun, which waits for it, ends too. */
  readonly kill: () => Promise<void>;
}

/** Runs containers of the host's network on a node, by crun and from the manifest of their pod. */
export class PodRuntime implements AsyncDisposable {
  readonly #node: TestNode;
  readonly #place: NodeOfPod;
  readonly #folder: string;
  #count = 0;

  private constructor(node: TestNode, place: NodeOfPod, folder: string) {
    this.#node = node;
    this.#place = place;
    this.#folder = folder;
  }

  /** What runs in the containers ends with the result. */
  static async create(node: TestNode, place: NodeOfPod): Promise<PodRuntime> {
    return new PodRuntime(node, place, await mkdtemp("/run/kube-ipvs-pod-"));
  }

  /** Starts the agent in a container; it may be anywhere in its start when this resolves. */
  async start(which: ContainerOfPod): Promise<AgentContainer> {
    const { id, command } = await this.#bundle(which);
    const program = this.#node.node.namespace.start(command);
    const kill = async () => {
      const closed = once(program, "close");
      await output([...CRUN, "kill", id, "KILL"]);
      await closed;
    };
    return { agent: AgentProcess.of(this.#node, program), exitCode: () => program.exitCode ?? undefined, kill };
  }

  /** Runs a container to its end. */
  async finished(which: ContainerOfPod): Promise<Finished> {
    return this.#node.node.namespace.finished((await this.#bundle(which)).command);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const id of this.#ids()) await output([...CRUN, "delete", "--force", id]);
    await rm(this.#folder, { recursive: true });
  }

  /** Writes the configuration of a container. */
  async #bundle({ pod, container, started }: ContainerOfPod) {
    this.#count++;
    const id = `${this.#node.name}-${this.#count}`;
    const folder = join(this.#folder, id);
    await mkdir(folder);
    await createFiles(pod, this.#place.hostPath);
    await writeFile(join(folder, "config.json"), JSON.stringify(ociConfig(pod, container, started, this.#place)));
    const crun = [...CRUN, "run", "--bundle", folder, id];
    return {
      id,
      command: ["unshare", "--mount", "--propagation", "private", "sh", "-c", WITH_CGROUPS, "crun", ...crun],
    };
  }

  #ids(): readonly string[] {
    return Array.from({ length: this.#count }, (_, index) => `${this.#node.name}-${index + 1}`);
  }
}

/** Creates the files that the kubelet creates where the host does not have them. */
async function createFiles({ volumes = [] }: V1PodSpec, hostPath: NodeOfPod["hostPath"]): Promise<void> {
  for (const { hostPath: source } of volumes)
    if (source?.type === "FileOrCreate") await writeFile(hostPath(source.path), "", { flag: "a" });
}
