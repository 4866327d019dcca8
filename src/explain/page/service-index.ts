import type { ServiceName } from "../../model/cluster/service.ts";
import type { Severity } from "../finding.ts";
import { type PageView, ROWS, type ServiceCounts } from "./page-messages.ts";

/** A Service as it is searched for. */
export interface IndexedService {
  readonly name: ServiceName;
  readonly severity: Severity | "ok";
  /** Name, addresses and ports, in small letters. */
  readonly text: string;
}

/** The words of a search that count, and the letters of each. */
const WORDS = 8;

/** All Services in the order of their names, for searches. Immutable: a later state is another index. */
export class ServiceIndex {
  readonly #services: readonly IndexedService[];
  readonly counts: ServiceCounts;

  constructor(services: readonly IndexedService[]) {
    this.#services = services.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    const count = (wanted: Severity) => services.filter(({ severity }) => severity === wanted).length;
    this.counts = { total: services.length, errors: count("error"), warnings: count("warning") };
  }

  /** One page of the Services that match, and the number of all that match. */
  find({ search, onlyProblems, offset }: PageView): { readonly total: number; readonly names: readonly ServiceName[] } {
    const words = search.toLowerCase().split(/\s+/).filter(Boolean).slice(0, WORDS);
    let total = 0;
    const names: ServiceName[] = [];
    for (const { name, severity, text } of this.#services) {
      if (onlyProblems && severity !== "error" && severity !== "warning") continue;
      if (!words.every((word) => text.includes(word))) continue;
      if (total >= offset && names.length < ROWS) names.push(name);
      total++;
    }
    return { total, names };
  }
}
