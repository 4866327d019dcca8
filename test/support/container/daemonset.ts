import { release } from "node:os";
import type { V1Container, V1PodSpec } from "@kubernetes/client-node";
import { testTls } from "../api/api-server.ts";
import { ControlPlane } from "../api/worlds/control-plane.ts";
import type { Finished } from "../node/namespace.ts";
import { TestNode } from "../node/netns.ts";
import { nodeObject } from "../objects/builders.ts";
import { deployedContainer, deployedPod, deployedRules, deployedUser, startedAs } from "./deployment.ts";
import { hostPaths } from "./host-paths.ts";
import { type ContainerImage, Image } from "./image.ts";
import { type AgentContainer, type ContainerOfPod, PodRuntime } from "./pod-runtime.ts";
import { kernelHasSeccompFilters } from "./seccomp.ts";
import { AccountFolder } from "./service-account.ts";

/** Changes the manifest of a pod, or one of its containers, before it is run. */
export type Change = (pod: V1PodSpec, container: V1Container) => void;

/** Where the DaemonSet is. */
export const NAMESPACE = "kube-system";
/** The variables that the kubelet adds to each container: the API server as a Service, which no proxy serves yet. */
const KUBELET_ENV = { KUBERNETES_SERVICE_HOST: "10.96.0.1", KUBERNETES_SERVICE_PORT: "443" };

/**
 * A node on which the DaemonSet of manifests/ runs: containers that crun starts as containerd would, the files of a service
 * account, and an API server that allows what the ClusterRole allows.
 */
export class DaemonSetNode implements AsyncDisposable {
  readonly node: TestNode;
  readonly plane: ControlPlane;
  /** The files of the service account; its token is "first". */
  readonly account: AccountFolder;
  readonly #stack: AsyncDisposableStack;
  readonly #runtime: PodRuntime;
  readonly #image: ContainerImage;

  private constructor(
    stack: AsyncDisposableStack,
    parts: Pick<DaemonSetNode, "node" | "plane" | "account"> & { runtime: PodRuntime; image: ContainerImage },
  ) {
    this.#stack = stack;
    this.node = parts.node;
    this.plane = parts.plane;
    this.account = parts.account;
    this.#runtime = parts.runtime;
    this.#image = parts.image;
  }

  /** With an image of the programs of this machine, unless another one is given, and with pods that serve their names. */
  static async create({
    image: given,
    pods = [],
  }: {
    readonly image?: ContainerImage;
    readonly pods?: readonly string[];
  } = {}): Promise<DaemonSetNode> {
    const filtersCalls = kernelHasSeccompFilters();
    if (!filtersCalls) console.log(`Linux ${release()} has no seccomp filters: containers run without their profile`);
    await using stack = new AsyncDisposableStack();
    const image = given ?? stack.use(await Image.create());
    const account = stack.use(
      await AccountFolder.create({ token: "first", authority: testTls("a").cert, namespace: NAMESPACE }),
    );
    const node = stack.use(await TestNode.create({ pods }));
    const plane = stack.use(await ControlPlane.create(node));
    const runtime = stack.use(
      await PodRuntime.create(node, {
        rootfs: image.path,
        imageMounts: image.mounts,
        hostPath: await hostPaths(node),
        account: account.path,
        filtersCalls,
      }),
    );
    const made = new DaemonSetNode(stack.move(), { node, plane, account, runtime, image });
    plane.model.behaviour.rules = deployedRules();
    plane.model.behaviour.tokens = new Map([["first", deployedUser()]]);
    plane.put(nodeObject(node.name, { ips: [node.node.ip] }));
    return made;
  }

  /** Creates or replaces objects of the API. */
  put(...objects: readonly object[]): void {
    this.plane.put(...objects);
  }

  /** Runs the init container to its end. */
  init(change?: Change): Promise<Finished> {
    return this.#runtime.finished(this.#containerOf("initContainers", change));
  }

  /** Starts the container of the agent. */
  start(change?: Change): Promise<AgentContainer> {
    return this.#runtime.start(this.#containerOf("containers", change));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }

  #containerOf(which: "containers" | "initContainers", change: Change = () => undefined): ContainerOfPod {
    const pod = deployedPod();
    const container = deployedContainer(which);
    change(pod, container);
    const { argv, env } = startedAs(container, this.node.name, {
      apiServers: this.plane.server.url,
      clusterCIDR: "10.244.0.0/16,fd00:244::/32",
    });
    return { pod, container, started: { argv, env: { ...this.#image.env, ...KUBELET_ENV, ...env } } };
  }
}
