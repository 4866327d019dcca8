import type { ServicePort } from "../../model/cluster/service.ts";

/** Above this many lists it starts anew: what no Service has any more must not stay for ever. */
const LIMIT = 4096;
/** A longer list is not shared: the texts of 4,096 lists of 25,000 ports would take gigabytes. */
const LONGEST = 32;

/**
 * Gives equal lists of ports as one list: most Services of a cluster have one of a few, and of 136 bytes each 50,000 are 6.5 MB.
 * Lists with node ports, of which no two are equal, stay as they are.
 */
export class PortLists {
  readonly #lists = new Map<string, readonly ServicePort[]>();

  /** The first list equal to this one that was asked for; this list itself where it is long. */
  share(ports: readonly ServicePort[]): readonly ServicePort[] {
    if (ports.length > LONGEST) return ports;
    // A key holds the name and the protocol, and neither a space.
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
