import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { render } from "../../packaging/kustomize/render.ts";
import { RENDERED, renderedText } from "../../packaging/kustomize/write.ts";
import { unknownFields } from "../support/api/schema.ts";
import { API_VERSIONS, apiProblem } from "../support/packaging/api-schemas.ts";

const FOLDER = join(import.meta.dirname, "../../manifests");
const objectsOf = (file: string) =>
  parseAllDocuments(readFileSync(join(FOLDER, "rendered", file), "utf8")).map((document) => document.toJS());
const objectOf = (file: string, kind: string) => objectsOf(file).find((object) => object.kind === kind);

describe.each(Object.entries(RENDERED))("manifests/rendered/%s", (file, kustomization) => {
  test(`is rendered from manifests/${kustomization}: npm run manifests`, () => {
    expect(readFileSync(join(FOLDER, "rendered", file), "utf8")).toBe(renderedText(kustomization));
  });

  test.each(API_VERSIONS)("is valid by the API description of Kubernetes %s", async (version) => {
    for (const object of objectsOf(file))
      expect([object.kind, await apiProblem(object, version)]).toEqual([object.kind, ""]);
  });

  test("has only fields of the API", () => {
    const own = objectsOf(file).filter(({ apiVersion }) => !apiVersion.startsWith("monitoring."));
    for (const object of own)
      expect([object.kind, unknownFields(object, `V1${object.kind}`)]).toEqual([object.kind, []]);
  });

  test("names images by version or digest, and each object once", () => {
    const names = objectsOf(file).map(({ kind, metadata }) => `${kind} ${metadata.namespace}/${metadata.name}`);
    expect(new Set(names).size).toBe(names.length);
    const images = [...readFileSync(join(FOLDER, "rendered", file), "utf8").matchAll(/image: (\S+)/g)].map(
      ([, name]) => name,
    );
    for (const image of images) expect(image).toMatch(/(:\d+\.\d+\.\d+|@sha256:[0-9a-f]{64})$/);
  });
});

test("a value of a wrong type, a missing field and an unknown value are invalid", async () => {
  const daemonSet = objectOf("kube-ipvs.yaml", "DaemonSet");
  const { selector, ...spec } = daemonSet.spec;
  for (const wrong of [
    { ...daemonSet, spec },
    { ...daemonSet, spec: { ...spec, selector, minReadySeconds: "soon" } },
    { ...daemonSet, spec: { ...spec, selector, updateStrategy: { type: "Rolling", rollingUpdate: 1 } } },
  ])
    for (const version of API_VERSIONS) expect(await apiProblem(wrong, version)).not.toBe("");
});

describe("the DaemonSet", () => {
  const { metadata, spec } = objectOf("kube-ipvs.yaml", "DaemonSet");
  const [container] = spec.template.spec.containers;

  test("updates a tenth of the nodes at a time, and waits for the first sync before it is alive", () => {
    expect(spec.updateStrategy).toEqual({ type: "RollingUpdate", rollingUpdate: { maxUnavailable: "10%" } });
    expect(container.startupProbe.httpGet).toEqual(container.readinessProbe.httpGet);
    expect(container.startupProbe.periodSeconds * container.startupProbe.failureThreshold).toBe(600);
    expect(container.ports).toContainEqual({ name: "metrics", containerPort: 10249 });
  });

  test("says which container kubectl logs and exec mean", () => {
    expect(spec.template.metadata.annotations).toEqual({ "kubectl.kubernetes.io/default-container": container.name });
  });

  test("refers to the ConfigMap by the name that its data gives", () => {
    const { metadata: map } = objectOf("kube-ipvs.yaml", "ConfigMap");
    expect(map.name).toMatch(/^kube-ipvs-[a-z0-9]{10}$/);
    const names = [...JSON.stringify(spec).matchAll(/"configMapKeyRef":\{"name":"([^"]+)"/g)].map(([, name]) => name);
    expect(new Set(names)).toEqual(new Set([map.name]));
  });

  test("side by side differs only by the nodes that it leaves to kube-proxy", () => {
    const other = objectOf("side-by-side.yaml", "DaemonSet");
    const { affinity, ...pod } = other.spec.template.spec;
    expect(affinity).toBeDefined();
    expect({ ...other, spec: { ...other.spec, template: { ...other.spec.template, spec: pod } } }).toEqual({
      metadata,
      spec,
      apiVersion: "apps/v1",
      kind: "DaemonSet",
    });
  });
});

describe("in the place of kubeadm's kube-proxy", () => {
  const { metadata, spec } = objectOf("replace-kubeadm.yaml", "DaemonSet");

  test("the DaemonSet has its name and selector, and the pods its label", () => {
    expect([metadata.namespace, metadata.name]).toEqual(["kube-system", "kube-proxy"]);
    expect(spec.selector).toEqual({ matchLabels: { "k8s-app": "kube-proxy" } });
    expect(spec.template.metadata.labels).toMatchObject({ "k8s-app": "kube-proxy" });
  });

  test("its ConfigMap is the configuration of both containers, and is not changed", () => {
    const { containers, initContainers, volumes } = spec.template.spec;
    expect(volumes).toContainEqual({ name: "kube-proxy", configMap: { name: "kube-proxy" } });
    for (const [container] of [containers, initContainers]) {
      expect(container.args).toContain("--config=/var/lib/kube-proxy/config.conf");
      expect(container.volumeMounts).toContainEqual({
        name: "kube-proxy",
        mountPath: "/var/lib/kube-proxy",
        readOnly: true,
      });
    }
    expect(containers[0].args).toContain("--hostname-override=$(NODE_NAME)");
    expect(objectOf("replace-kubeadm.yaml", "ConfigMap")).toBeUndefined();
    expect(JSON.stringify(spec)).not.toContain("configMapKeyRef");
  });
});

test("the PodMonitor selects the pods of all variants, and gives the job of kube-proxy", () => {
  const { spec } = objectOf("monitoring.yaml", "PodMonitor");
  const [endpoint] = spec.podMetricsEndpoints;
  for (const file of ["kube-ipvs.yaml", "side-by-side.yaml", "replace-kubeadm.yaml"]) {
    const { template } = objectOf(file, "DaemonSet").spec;
    expect(template.metadata.labels).toMatchObject(spec.selector.matchLabels);
    expect(template.spec.containers[0].ports.map(({ name }: { name: string }) => name)).toContain(endpoint.port);
  }
  expect(endpoint.relabelings).toContainEqual({ targetLabel: "job", replacement: "kube-proxy" });
});

test("the component monitoring opens the metrics to other nodes", () => {
  const address = (folder: string) => {
    const map = render(join(FOLDER, folder)).find(({ kind }) => kind === "ConfigMap");
    return JSON.parse(JSON.stringify(map)).data.metricsBindAddress;
  };
  expect(address("base")).toBe("127.0.0.1:10249");
  expect(address("../test/fixtures/manifests/monitored")).toBe("0.0.0.0:10249");
});
