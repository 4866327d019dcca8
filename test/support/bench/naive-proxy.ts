/**
 * The simplest proxy that serves ClusterIPs: it reads Services and EndpointSlices from the API server of KUBECONFIG, and after every
 * change writes the whole state with the usual program: `node naive-proxy.ts ipvs|iptables`.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { connect } from "node:http2";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

interface NamedObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels: Readonly<Record<string, string>>;
  };
}
interface Service extends NamedObject {
  readonly spec: {
    readonly clusterIP: string;
    readonly ports: readonly { readonly name: string; readonly protocol: string; readonly port: number }[];
  };
}
interface Slice extends NamedObject {
  readonly endpoints: readonly { readonly addresses: readonly string[] }[];
  readonly ports: readonly { readonly name: string; readonly port: number }[];
}
/** A port of a Service with its endpoints. */
interface Server {
  readonly protocol: string;
  readonly ip: string;
  readonly port: number;
  readonly endpoints: readonly string[];
}

const { KUBECONFIG = "" } = process.env;
const { clusters } = JSON.parse(readFileSync(KUBECONFIG, "utf8"));
const { server, "certificate-authority": authority } = clusters[0].cluster;
const session = connect(server, { ca: readFileSync(authority) });
let isChanged = true;

function watch<Kind extends NamedObject>(path: string): ReadonlyMap<string, Kind> {
  const objects = new Map<string, Kind>();
  const stream = session.request({ ":path": `${path}?watch=true&sendInitialEvents=true` });
  createInterface({ input: stream }).on("line", (line) => {
    const { type, object } = JSON.parse(line);
    isChanged = true;
    if (type === "BOOKMARK") return;
    const key = `${object.metadata.namespace}/${object.metadata.name}`;
    if (type === "DELETED") objects.delete(key);
    else objects.set(key, object);
  });
  return objects;
}

const services = watch<Service>("/api/v1/services");
const slices = watch<Slice>("/apis/discovery.k8s.io/v1/endpointslices");

function servers(): readonly Server[] {
  return [...services.values()].flatMap(({ metadata, spec }) =>
    spec.ports.map(({ name, protocol, port }) => {
      const own = [...slices.values()].filter(
        (slice) =>
          slice.metadata.namespace === metadata.namespace &&
          slice.metadata.labels["kubernetes.io/service-name"] === metadata.name,
      );
      const endpoints = own.flatMap((slice) =>
        slice.endpoints.map(
          ({ addresses }) => `${addresses[0]}:${slice.ports.find((target) => target.name === name)?.port}`,
        ),
      );
      return { protocol: protocol.toLowerCase(), ip: spec.clusterIP, port, endpoints };
    }),
  );
}

function writeIpvs(): void {
  const lines = servers().flatMap(({ protocol, ip, port, endpoints }) => {
    const name = `-${protocol[0]} ${ip}:${port}`;
    return [`-A ${name} -s rr`, ...endpoints.map((endpoint) => `-a ${name} -r ${endpoint} -m -w 1`)];
  });
  execFileSync("ipvsadm", ["-C"]);
  execFileSync("ipvsadm", ["-R"], { input: `${lines.join("\n")}\n` });
}

function writeIptables(): void {
  const all = servers();
  const chains = all.map((_, index) => `:KUBE-SVC-${index} - [0:0]`);
  const rules = all.flatMap(({ protocol, ip, port, endpoints }, index) => [
    `-A KUBE-SERVICES -d ${ip}/32 -p ${protocol} -m ${protocol} --dport ${port} -j KUBE-SVC-${index}`,
    ...endpoints.map((to) => `-A KUBE-SVC-${index} -p ${protocol} -m ${protocol} -j DNAT --to-destination ${to}`),
  ]);
  const text = ["*nat", ":KUBE-SERVICES - [0:0]", ...chains, ...rules, "COMMIT", ""].join("\n");
  execFileSync("iptables-restore", [], { input: text });
}

for (;;) {
  if (isChanged) {
    isChanged = false;
    if (process.argv[2] === "iptables") writeIptables();
    else writeIpvs();
  }
  await sleep(20);
}
