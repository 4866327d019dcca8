import type { ServicePort } from "../../model/cluster/service.ts";

/** The number of lists at which the map is cleared, so that lists of deleted Services do not accumulate. */
const LIMIT = 4096;
/** The maximum length of a shared list: the texts of 4,096 lists of 25,000 ports would take gigabytes. */
const LONGEST = 32;

/**
 * Shares equal lists of ports. Most Services of a cluster have one of a few lists of 136 bytes, which saves 6.5 MB at
 * 50,000 Services. Lists with node ports are not shared, because no two are equal.
 */
export class PortLists {
  readonly #lists = new Map<string, readonly ServicePort[]>();

  /** Returns the first equal list; this list itself if it is long or has node ports. */
  share(ports: readonly ServicePort[]): readonly ServicePort[] {
    if (ports.length > LONGEST) return ports;
    // A key consists of name and protocol, which contain no space.
    let text = "";
    for (const { key, port, nodePort } of ports) {
      if (nodePort > 0) return ports;
      text += `${key} ${port} `;
    }
    const known = this.#lists.get(text);
    if (known !== undefined) return known;
    if (this.#lists.size >= LIMIT) this.#lists.clear();
    this.#lists.set(text, ports);
    return ports;
  }
}
