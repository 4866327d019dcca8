import { hostileKey, hostileText } from "./hostile-values.ts";
import { below, oneOf, type Random, randomFrom } from "./random.ts";

/** Documents in the ways in which people and programs write them. */
const DOCUMENTS = [
  `apiVersion: v1
kind: Service
metadata:
  name: web
  namespace: shop
  annotations: {kube-ipvs.io/scheduler: "mh", 'kube-ipvs.io/one-packet': "true"}
spec:
  clusterIP: 10.96.0.1
  ports:
  - name: http # a comment
    port: 80
  - {name: dns, port: 53, protocol: UDP}
`,
  `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: &about
  name: web-1
  namespace: shop
  labels:
    kubernetes.io/service-name: web
    note: |-
      several
      lines
    folded: >
      more of
      them
addressType: IPv4
ports: &ports
- {name: http, port: 8080}
endpoints:
- &one
  addresses: [10.244.1.1]
  conditions: {ready: true}
- <<: *one
  addresses: [10.244.1.2]
`,
  `{"apiVersion": "v1", "kind": "List", "items": [
  {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "api", "namespace": "shop"},
   "spec": {"clusterIP": "fd00::1", "ports": [{"port": 443}]}},
  {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1", "labels": {"topology.kubernetes.io/zone": "a"}},
   "spec": {"podCIDRs": ["10.244.1.0/24"]}, "status": {"addresses": [{"type": "InternalIP", "address": "192.168.1.1"}]}}
]}
`,
  `# a comment alone
apiVersion: v1
kind: ServiceList
items:
- metadata: {name: a, namespace: shop}
  spec: {clusterIP: 10.96.0.3, ports: [{port: 1}]}
- metadata: {name: "b", namespace: shop}
  ? spec
  : {clusterIP: !!str 10.96.0.4, "ports": [{port: 0x50}]}
`,
  `apiVersion: networking.k8s.io/v1
kind: ServiceCIDR
metadata: {name: kubernetes}
spec: {cidrs: [10.96.0.0/16, "fd00::/112"]}
`,
];

/** What means something in YAML or JSON. */
const TOKENS = [
  ..."&a |*a |*one|<<: *about\n|<<: *one|!!binary |!!map |!!set |!<tag:x> |!e!x |- |? |: |, |[|]|{|}|'|\"|>-2\n|#|%YAML 9.9\n".split(
    "|",
  ),
  ..."---\n|---|\n---\n|\n...\n|--- !!str x\n|%TAG ! !\n|\t|\n\t|\n|\r|\r\n|\\|\\u12|\\x0|@|`|~|=|0o17|.inf|-.inf|.nan|1_000|12:30:45".split(
    "|",
  ),
  "|\n",
  "|+2\n",
  "\0",
  "\ufeff",
  "\u2028",
  "\u0085",
  "kind: List\n",
  "__proto__: {a: 1}\n",
  "? {a: 1}\n: 2\n",
  "[*a, *a]",
];

type Change = (text: string, random: Random) => string;

/** The text with `now` in place of `length` characters at a place. */
function spliced(text: string, random: Random, length: number, now: string): string {
  const at = below(text.length + 1, random);
  return text.slice(0, at) + now + text.slice(at + length);
}

const CHANGES: readonly Change[] = [
  (text, random) => spliced(text, random, 1, String.fromCharCode(below(256, random))),
  (text, random) => spliced(text, random, 1 + below(30, random), ""),
  (text, random) => spliced(text, random, 0, oneOf(TOKENS, random)),
  (text, random) => spliced(text, random, 0, oneOf(TOKENS, random)),
  (text, random) => spliced(text, random, 0, text.slice(below(text.length, random)).slice(0, below(80, random))),
  anotherWord,
  (text, random) => text.slice(0, below(text.length + 1, random)),
  (text, random) => text.slice(below(text.length + 1, random)),
  (text, random) =>
    anotherLine(text, random, (line) => line.replace(/[^:]*$/, ` ${JSON.stringify(hostileText(random))}`)),
  (text, random) =>
    anotherLine(text, random, (line) => `${line}\n${JSON.stringify(hostileKey(random))}: ${hostileText(random)}`),
  (text, random) => anotherLine(text, random, (line) => " ".repeat(below(6, random)) + line.trimStart()),
  (text, random) => (random() < 0.8 ? text : nested(text, 2 ** below(8, random))),
  (text, random) =>
    random() < 0.95
      ? text
      : spliced(
          text,
          random,
          0,
          oneOf(["[", "- ", "{a: ", "*a,", "&a [", "? "], random).repeat(2 ** below(13, random)),
        ),
];

/** Some word of the text, wherever it stands, becomes a key that means something elsewhere. */
function anotherWord(text: string, random: Random): string {
  const words = [...text.matchAll(/\w+/g)];
  if (words.length === 0) return text;
  const { 0: word, index } = oneOf(words, random);
  return text.slice(0, index) + hostileKey(random) + text.slice(index + word.length);
}

function anotherLine(text: string, random: Random, change: (line: string) => string): string {
  const lines = text.split("\n");
  const at = below(lines.length, random);
  return lines.with(at, change(lines[at] ?? "")).join("\n");
}

/** The document in so many Lists. */
function nested(text: string, lists: number): string {
  const item = text.replaceAll("\n", "\n  ");
  return `${'{"kind": "List", "items": ['.repeat(lists)}{}${"]}".repeat(lists)}\n---\nkind: List\nitems:\n- ${item}\n`;
}

/** Some document, with one change for each seed. */
export function hostileDocument(seeds: readonly number[]): string {
  const [first = 0] = seeds;
  return changed(oneOf(DOCUMENTS, randomFrom(first)), seeds);
}

/** The text with one change for each seed. */
export function changed(text: string, seeds: readonly number[]): string {
  return seeds.reduce((before, seed) => {
    const random = randomFrom(seed);
    return oneOf(CHANGES, random)(before, random);
  }, text);
}

/** The text in UTF-8, of which now and then one byte is another. */
export function bytesOf(text: string, seed: number): Buffer {
  const random = randomFrom(seed);
  const bytes = Buffer.from(text);
  if (random() < 0.1 && bytes.length > 0) bytes[below(bytes.length, random)] = below(256, random);
  return bytes;
}
