import { readFileSync } from "node:fs";
import type {
  KubernetesObject,
  V1ClusterRole,
  V1ClusterRoleBinding,
  V1ConfigMap,
  V1Container,
  V1DaemonSet,
  V1PodSpec,
} from "@kubernetes/client-node";
import { parse, parseAllDocuments } from "yaml";
import type { Rule } from "../api/api-model.ts";

const FOLDER = new URL("../../../manifests/", import.meta.url);

/** All objects that `kubectl apply -k manifests/overlays/side-by-side` makes. */
export function deployedObjects(): readonly KubernetesObject[] {
  return parseAllDocuments(read("rendered/side-by-side.yaml")).map((document) => document.toJS());
}

/** The objects that agents with --metrics-authorization need besides. */
export function metricsAccessObjects(): readonly KubernetesObject[] {
  return parseAllDocuments(read("metrics-access.yaml")).map((document) => document.toJS());
}

function read(file: string): string {
  return readFileSync(new URL(file, FOLDER), "utf8");
}

function deployed(kind: string): KubernetesObject {
  const [found, another] = deployedObjects().filter((object) => object.kind === kind);
  if (found === undefined || another !== undefined) throw new Error(`There is not one ${kind}`);
  return found;
}

// A test holds every field against the schema of its kind.
export const deployedDaemonSet = () => deployed("DaemonSet") as V1DaemonSet;
export const deployedConfigMap = () => deployed("ConfigMap") as V1ConfigMap;
export const deployedClusterRole = () => deployed("ClusterRole") as V1ClusterRole;
export const deployedBinding = () => deployed("ClusterRoleBinding") as V1ClusterRoleBinding;

/** What an operator does to kube-proxy's DaemonSet while nodes move over. */
export function kubeProxyPatch(): {
  readonly spec: { readonly template: { readonly spec: { readonly nodeSelector: Readonly<Record<string, string>> } } };
} {
  return parse(read("overlays/side-by-side/kube-proxy-patch.yaml"));
}

/** The pod that the DaemonSet makes. */
export function deployedPod(): V1PodSpec {
  const spec = deployedDaemonSet().spec?.template.spec;
  if (spec === undefined) throw new Error("The DaemonSet has no pod");
  return spec;
}

/** Its container, or its init container, which are one each. */
export function deployedContainer(which: "containers" | "initContainers"): V1Container {
  const [found, another] = deployedPod()[which] ?? [];
  if (found === undefined || another !== undefined) throw new Error(`There is not one of ${which}`);
  return found;
}

/** What the ClusterRole allows, one rule for each group and resource. */
export function deployedRules(role: V1ClusterRole = deployedClusterRole()): readonly Rule[] {
  return (role.rules ?? []).flatMap(({ apiGroups = [], resources = [], verbs }) =>
    apiGroups.flatMap((apiGroup) => resources.map((resource) => ({ apiGroup, resource, verbs }))),
  );
}

/** The user that the agent is, to whom the binding gives the role. */
export function deployedUser(): string {
  const [subject] = deployedBinding().subjects ?? [];
  return `system:serviceaccount:${subject?.namespace}:${subject?.name}`;
}

/** What a process of the pod is started with. */
export interface Started {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/**
 * A container as the kubelet starts it on the node: the variables from their sources, and put into the arguments.
 * `config` stands for what the operator changes in the ConfigMap.
 */
export function startedAs(container: V1Container, nodeName: string, config: Readonly<Record<string, string>>): Started {
  const data = { ...deployedConfigMap().data, ...config };
  const env: Record<string, string> = {};
  for (const { name, value, valueFrom } of container.env ?? []) {
    const found = valueFrom === undefined ? value : (data[valueFrom.configMapKeyRef?.key ?? ""] ?? nodeName);
    if (found === undefined) throw new Error(`${name} has no value`);
    env[name] = found;
  }
  const words = [...(container.command ?? []), ...(container.args ?? [])];
  return { argv: words.map((word) => word.replace(/\$\((\w+)\)/g, (all, name) => env[name] ?? all)), env };
}
