import type { DesiredState } from "../../desired/desired-state.ts";
import type { IPAddress } from "../../model/address.ts";
import type { SetEntry } from "../../model/kernel/ipset.ts";

/** The Services of the addresses, ports and endpoints of a desired state. */
export class ServiceIndex {
  readonly #byAddress = new Map<IPAddress, string | undefined>();
  readonly #byPort = new Map<number, string | undefined>();
  /** Of frontends and endpoints: the same address and port may be of several protocols. */
  readonly #byAddressPort = new Map<string, string | undefined>();

  constructor(desired: DesiredState) {
    for (const { server, reals } of desired.servers()) {
      const service = desired.owner(server.key);
      add(this.#byAddress, server.address, service);
      add(this.#byPort, server.port, service);
      for (const { address, port } of [server, ...reals]) add(this.#byAddressPort, `${address} ${port}`, service);
    }
  }

  /** Undefined if the address is of no Service, or of several. */
  ofAddress(address: IPAddress): string | undefined {
    return this.#byAddress.get(address);
  }

  /** Undefined as above. A member without an address has the number of a NodePort, which belongs to one Service. */
  ofEntry({ address, port }: SetEntry): string | undefined {
    if (address === undefined) return port === undefined ? undefined : this.#byPort.get(port);
    return this.#byAddressPort.get(`${address} ${port}`) ?? this.#byAddress.get(address);
  }
}

/** What several Services have belongs to none of them. */
function add<Key>(index: Map<Key, string | undefined>, key: Key, service: string | undefined): void {
  index.set(key, index.has(key) && index.get(key) !== service ? undefined : service);
}
