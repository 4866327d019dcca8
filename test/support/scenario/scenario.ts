import { type IPAddress, type IPFamily, parseAddress } from "../../../src/model/address.ts";
import { type Errno, errnoNamed } from "../../../src/model/kernel/errno.ts";
import type { OperationKind } from "../../../src/model/kernel/operation.ts";
import type { VipBinding } from "../../../src/model/vip-binding.ts";

/*
 * A scenario is a text: steps, one a line, then the files they name. Empty lines and lines that begin with # are ignored.
 *
 *   node n1 ip 192.168.1.10 ip fd01::10 zone a     where the agent runs; once more: its facts change
 *   option scheduler mh                            before the first apply; see OPTIONS below
 *   apply web.yaml                                 as `kubectl apply -f`; then the agent syncs; no time passes
 *   delete web.yaml                                as `kubectl delete -f`; then the agent syncs
 *   expect up.txt                                  what must be true now; `expect nothing` is an empty kernel and plan
 *   expect log failed.txt                          what was logged since the last step of this kind; `nothing` is no WARN or ERROR
 *   expect event failed.txt                        which Events were written since the last step of this kind; `nothing` is no Warning
 *   expect ready                                   the agent is ready, as the kubelet sees it
 *   expect unready cannot program 1 kernel object  it is not, and the reason begins so
 *   wrote 2                                        so many operations were sent to the kernel since the last step of this kind; a search for stale flows is none
 *   connect TCP/10.96.0.1:80 10.244.1.5:80 3       so many connections the real server has from now on
 *   fail ENOMEM add-real-server 10.244.1.5:80      operations of this kind fail on objects that have this text in their name
 *   allow                                          all operations succeed again
 *   wait 60                                        so many seconds pass, and the agent does the work that comes due
 *   meddle theirs.txt                              another program changes the kernel; the agent is not informed
 *   resync                                         the agent reads the whole kernel and syncs; a second passes
 *   restart                                        the agent ends; a new one receives all objects, resyncs and syncs
 *
 * A file begins with `-- name --`. Files to expect hold, in any order:
 *
 *   -A -t 10.96.0.1:80 -s rr                       virtual and real servers, as `ipvsadm -Sn` prints them: always all
 *   -a -t 10.96.0.1:80 -r 10.244.1.5:80 -m -w 1
 *   address 10.96.0.1                              addresses on kube-ipvs0: all, or none is mentioned
 *   entry KUBE-CLUSTER-IP 10.96.0.1,tcp:80         set members: all, or none is mentioned; those of the node itself
 *                                                  (KUBE-NODE-PORT-IPS, KUBE-SERVICE-CIDR) apart
 *   kernel -A -t 192.0.2.1:80 -s wlc               only in the kernel, not in the plan: it drains, or is foreign
 *   plan -a -t 10.96.0.1:80 -r 10.244.1.6:80 -m -w 1   only in the plan, not in the kernel: its operation failed
 *   conflict TCP/10.96.0.1:80 a/one a/two          Services that claim one virtual server, the owner first: always all
 *   rejected Service a/one spec.ports[0].port      fields that cannot be used, here or anywhere: always all
 *   failing shop/web Cannot add real server …      failed operations, with the Service that they are reported to, or "node": always all
 *
 * Plan and kernel must agree on addresses and members that are not mentioned.
 *
 * Files to expect in the log or of Events hold lines as an operator reads them, without their time, in any order:
 *
 *   WARN operation failed failure="Cannot add real server … ENOMEM … services=["shop/web"]
 *   INFO operation no longer fails … services=["shop/web"]
 *   Warning FailedToProgram Service shop/web Cannot add real server "10.244.1.5:8080"
 *
 * `…` stands for any text, and so does the end of a line. Each line is there as often as it is written. WARN, ERROR and
 * Warning: always all. INFO and Normal: those that are like the lines written.
 *
 * Files to meddle with hold lines as `ipvsadm` takes them (-A -E -D -a -e -d), or `address add|del IP`, or
 * `entry add|del SET MEMBER`.
 */

export type Step = { readonly line: number } & (
  | { readonly kind: "node"; readonly name: string; readonly zone: string; readonly ips: readonly IPAddress[] }
  | { readonly kind: "apply" | "delete" | "expect" | "meddle"; readonly file: string }
  | { readonly kind: "expect-log" | "expect-event"; readonly file: string }
  /** "" for ready. */
  | { readonly kind: "expect-readiness"; readonly reason: string }
  | { readonly kind: "connect"; readonly server: string; readonly real: string; readonly connections: number }
  | { readonly kind: "fail"; readonly errno: Errno; readonly operation: OperationKind; readonly object: string }
  | { readonly kind: "wait"; readonly seconds: number }
  | { readonly kind: "wrote"; readonly operations: number }
  | { readonly kind: "allow" | "resync" | "restart" }
);

export interface ScenarioOptions {
  readonly scheduler: string;
  readonly families: readonly IPFamily[];
  readonly excludeCIDRs: readonly string[];
  readonly drainTimeoutSeconds: number;
  readonly vipBinding: VipBinding;
}

export interface Scenario {
  readonly options: ScenarioOptions;
  readonly steps: readonly Step[];
  readonly file: (name: string) => string;
}

const DEFAULTS: ScenarioOptions = {
  scheduler: "rr",
  families: ["IPv4", "IPv6"],
  excludeCIDRs: [],
  drainTimeoutSeconds: 900,
  vipBinding: "address",
};

/** `option NAME VALUE...` */
const OPTIONS: Readonly<Record<string, (values: readonly string[]) => Partial<ScenarioOptions>>> = {
  scheduler: ([scheduler = ""]) => ({ scheduler }),
  families: (values) => ({ families: (["IPv4", "IPv6"] as const).filter((family) => values.includes(family)) }),
  "exclude-cidrs": (excludeCIDRs) => ({ excludeCIDRs }),
  "drain-timeout": ([seconds]) => ({ drainTimeoutSeconds: Number(seconds) }),
  "vip-binding": ([word]) => ({ vipBinding: word === "route" ? "route" : "address" }),
};

/** Reads a scenario; throws, with the line, on what it does not understand. */
export function parseScenario(text: string): Scenario {
  const [head = "", ...parts] = text.split(/^-- (\S+) --\n/m);
  const files = new Map(parts.flatMap((name, index) => (index % 2 === 0 ? [[name, parts[index + 1] ?? ""]] : [])));
  const lines = head.split("\n").map((line, index) => ({ words: line.trim().split(/\s+/), line: index + 1 }));
  const used = lines.filter(({ words: [first = ""] }) => first !== "" && !first.startsWith("#"));
  const isOption = ({ words }: { readonly words: readonly string[] }) => words[0] === "option";
  const options = used.filter(isOption).map(({ words: [, name = "", ...values], line }) => {
    const read = OPTIONS[name] ?? fail(line, `unknown option "${name}"`);
    return read(values);
  });
  return {
    options: Object.assign({}, DEFAULTS, ...options),
    steps: used.filter((step) => !isOption(step)).map(({ words, line }) => ({ line, ...parseStep(words, line) })),
    file: (name) => files.get(name) ?? fail(0, `there is no file "${name}"`),
  };
}

type Unnumbered<Numbered> = Numbered extends unknown ? Omit<Numbered, "line"> : never;

function parseStep([kind = "", ...rest]: readonly string[], line: number): Unnumbered<Step> {
  const [first = "", second = "", third = ""] = rest;
  switch (kind) {
    case "node":
      return { kind, name: first, zone: valuesOf(rest, "zone")[0] ?? "", ips: valuesOf(rest, "ip").map(address) };
    case "apply":
    case "delete":
    case "meddle":
      return { kind, file: first };
    case "expect":
      return parseExpectation(rest, line);
    case "connect":
      return { kind, server: first, real: second, connections: Number(third) };
    case "fail":
      return { kind, errno: errnoNamed(first), operation: operationKind(second, line), object: third };
    case "wait":
      return { kind, seconds: Number(first) };
    case "wrote":
      return { kind, operations: Number(first) };
    case "allow":
    case "resync":
    case "restart":
      return { kind };
    default:
      return fail(line, `unknown step "${kind}"`);
  }
}

function parseExpectation([first = "", ...rest]: readonly string[], line: number): Unnumbered<Step> {
  const [file = ""] = rest;
  switch (first) {
    case "log":
      return { kind: "expect-log", file };
    case "event":
      return { kind: "expect-event", file };
    case "ready":
      return { kind: "expect-readiness", reason: "" };
    case "unready":
      if (rest.length === 0) return fail(line, "unready for which reason?");
      return { kind: "expect-readiness", reason: rest.join(" ") };
    default:
      return { kind: "expect", file: first };
  }
}

/** The words that follow each `key`. */
function valuesOf(words: readonly string[], key: string): readonly string[] {
  return words.flatMap((word, index) => (word === key ? [words[index + 1] ?? ""] : []));
}

function address(text: string): IPAddress {
  return parseAddress(text) ?? fail(0, `"${text}" is not an address`);
}

const OPERATIONS: readonly OperationKind[] = [
  "add-virtual-server",
  "update-virtual-server",
  "delete-virtual-server",
  "add-real-server",
  "update-real-server",
  "delete-real-server",
  "bind-address",
  "unbind-address",
  "add-entry",
  "delete-entry",
];

function operationKind(text: string, line: number): OperationKind {
  return OPERATIONS.find((kind) => kind === text) ?? fail(line, `unknown operation "${text}"`);
}

function fail(line: number, reason: string): never {
  throw new Error(`Cannot read scenario, line ${line}: ${reason}`);
}
