import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { styleText } from "node:util";
import { parseAllDocuments } from "yaml";
import type { Answers } from "../test/support/traffic/client.ts";

/** What the demo has shown to be wrong, counted. */
export interface Expectations {
  passed: number;
  failed: number;
}

export function heading(text: string): void {
  console.log(`\n${styleText("bold", text)}`);
}

/** Prints one line about a claim, and counts it. */
export function expectThat(expectations: Expectations, claim: string, holds: boolean, seen: string): void {
  expectations[holds ? "passed" : "failed"] += 1;
  const mark = holds ? styleText("green", "ok  ") : styleText("red", "FAIL");
  console.log(`  ${mark} ${claim.padEnd(54)} ${seen}`);
}

/** `cart-1 10x, cart-2 10x, as 10.244.1.26`, and the errors if there were any. */
export function answersText({ answers, clients, errors }: Answers): string {
  const counts = (of: Readonly<Record<string, number>>) =>
    Object.entries(of).map(([name, count]) => `${name} ${count}x`);
  const said = counts(answers).length === 0 ? [] : [...counts(answers), `as ${Object.keys(clients).join(" ")}`];
  return [...said, ...counts(errors)].join(", ");
}

/** Columns as wide as their widest cell. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ")}`.trimEnd())
    .join("\n");
}

interface ServiceManifest {
  readonly kind: string;
  readonly metadata: { readonly namespace: string; readonly name: string };
  readonly spec: {
    readonly clusterIPs?: readonly string[];
    readonly externalIPs?: readonly string[];
    readonly ports?: readonly {
      readonly name?: string;
      readonly port: number;
      readonly protocol?: string;
      readonly nodePort?: number;
    }[];
  };
  readonly status?: { readonly loadBalancer?: { readonly ingress?: readonly { readonly ip: string }[] } };
}

/** Which Service port answers on a protocol, address and port: by `TCP 10.96.0.1:80`, and for NodePorts by `TCP 30080`. */
export async function servicePortNames(folder: string): Promise<ReadonlyMap<string, string>> {
  const names = new Map<string, string>();
  for (const file of await readdir(folder)) {
    for (const document of parseAllDocuments(await readFile(join(folder, file), "utf8"))) {
      const { kind, metadata, spec, status } = document.toJS() as ServiceManifest; // our own files
      if (kind !== "Service") continue;
      const balanced = (status?.loadBalancer?.ingress ?? []).map(({ ip }) => ip);
      const ips = [...(spec.clusterIPs ?? []), ...(spec.externalIPs ?? []), ...balanced];
      for (const { name, port, protocol = "TCP", nodePort } of spec.ports ?? []) {
        const full = `${metadata.namespace}/${metadata.name}${name === undefined ? "" : `:${name}`}`;
        for (const ip of ips) names.set(`${protocol} ${hostPort(ip, port)}`, full);
        if (nodePort !== undefined) names.set(`${protocol} ${nodePort}`, full);
      }
    }
  }
  return names;
}

/**
 * What `ipvsadm -Sn` prints, as rows of Service, virtual server, how it chooses, real servers.
 * `pods` names the pod of an address.
 */
export function serverRows(
  saved: string,
  services: ReadonlyMap<string, string>,
  pods: ReadonlyMap<string, string>,
): readonly (readonly string[])[] {
  const rows: { readonly cells: readonly string[]; readonly reals: string[] }[] = [];
  for (const line of saved.split("\n")) {
    const [command, flag, server = "", ...rest] = line.trim().split(" ");
    if (command === "-A") {
      if (flag === "-f") {
        rows.push({ cells: ["clients of this node", `mark ${server}`, affinityText(rest)], reals: [] });
        continue;
      }
      const protocol = flag === "-u" ? "UDP" : "TCP";
      const port = server.slice(server.lastIndexOf(":") + 1);
      const service = services.get(`${protocol} ${server}`) ?? services.get(`${protocol} ${port}`) ?? "?";
      rows.push({ cells: [service, `${protocol} ${server}`, affinityText(rest)], reals: [] });
    } else if (command === "-a") {
      const real = rest[rest.indexOf("-r") + 1] ?? "";
      const colon = real.lastIndexOf(":");
      const ip = real.slice(0, colon).replace(/[[\]]/g, "");
      const weight = rest.at(-1) === "0" ? " draining" : "";
      rows.at(-1)?.reals.push(`${pods.get(ip) ?? ip}${real.slice(colon)}${weight}`);
    }
  }
  const sorted = rows.map(({ cells, reals }) => [...cells, reals.toSorted().join(", ") || "(none)"]);
  return [
    ["SERVICE", "VIRTUAL SERVER", "CHOOSES", "REAL SERVERS"],
    ...sorted.toSorted((a, b) => a.join().localeCompare(b.join())),
  ];
}

/** `-s rr -p 600` as `rr, sticky 600 s`. */
function affinityText(flags: readonly string[]): string {
  const after = (flag: string) => (flags.includes(flag) ? flags[flags.indexOf(flag) + 1] : undefined);
  const seconds = after("-p");
  return `${after("-s")}${seconds === undefined ? "" : `, sticky ${seconds} s`}`;
}

function hostPort(ip: string, port: number): string {
  return ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}

export function milliseconds(inSeconds: number): string {
  return `${(inSeconds * 1000).toFixed(1)} ms`;
}

export function indent(text: string): string {
  return text.trimEnd().replace(/^/gm, "  ").concat("\n");
}
