import { dateOf, type Readings } from "../model/time/clock.ts";

/** The facts of the page /statusz. */
export interface StatusFacts {
  readonly version: string;
  /** The release of Kubernetes whose kube-proxy this program replaces. */
  readonly kubernetesVersion: string;
  /** The release of Node.js. */
  readonly node: string;
  /** A time of `Clock.now`. */
  readonly startedAtMs: number;
  readonly paths: readonly string[];
}

const WARNING =
  "Warning: This endpoint is not meant to be machine parseable, has no formatting compatibility guarantees and is for debugging purposes only.";

/** The head of a page for people, as in kube-proxy (KEP-4827, KEP-4828). */
export function pageHead(page: string): string {
  return `\nkube-ipvs ${page}\n${WARNING}\n\n`;
}

/** The text of /flagz: every flag with its value, sorted by name. */
export function flagsPage(flags: Readonly<Record<string, string>>): string {
  const lines = Object.entries(flags).map(([name, value]) => `${name}=${value}\n`);
  return `${pageHead("flags")}${lines.toSorted().join("")}`;
}

/** The text of /statusz: the start, the age, the versions and the paths of the server. */
export function statusPage(facts: StatusFacts, clock: Readings): string {
  const { version, kubernetesVersion, node, startedAtMs, paths } = facts;
  const seconds = Math.max(0, Math.floor((clock.now() - startedAtMs) / 1000));
  const twoDigits = (value: number) => String(value).padStart(2, "0");
  const lines = [
    `Started: ${dateOf(startedAtMs, clock).toUTCString()}`,
    `Up: ${Math.floor(seconds / 3600)} hr ${twoDigits(Math.floor(seconds / 60) % 60)} min ${twoDigits(seconds % 60)} sec`,
    `Node.js version: ${node}`,
    `Binary version: ${version}`,
    `Emulation version: ${kubernetesVersion}`,
    `Paths: ${paths.join(" ")}`,
  ];
  return `${pageHead("statusz")}${lines.join("\n")}\n`;
}
