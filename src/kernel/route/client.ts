import { FAMILIES, type IPAddress, type IPFamily } from "../../model/address.ts";
import type { BindingOperation } from "../../model/kernel/operation.ts";
import type { StepReport } from "../kernel.ts";
import { NetlinkError } from "../netlink/error.ts";
import { NO_REPLY } from "../netlink/receive-buffer.ts";
import type { NetlinkAnswer, NetlinkSocket } from "../netlink/socket.ts";
import { decodeRoute, encodeDeleteRoute, encodeGetRoutes, encodeNewRoute } from "./codec.ts";

/** Reads and changes the routes of type local by which VIPs are bound: those with the protocol number of the agent. */
export class RouteClient {
  readonly #socket: NetlinkSocket;

  /**
   * `socket` is an rtnetlink socket for changes and dumps of routes, so that no change of the agent comes into a dump:
   * IPv6 counts through its routes and may pass over some after a change. A route that was passed over is added again,
   * fails with EEXIST, and is read again: it is never deleted.
   */
  constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /** Applies the operations in order and returns one answer for each. */
  apply(operations: readonly BindingOperation[]): Promise<readonly NetlinkAnswer[]> {
    return this.#socket.request(
      "change routes",
      operations,
      (writer, { kind, address }) =>
        kind === "bind-address" ? encodeNewRoute(writer, address) : encodeDeleteRoute(writer, address),
      NO_REPLY,
    );
  }

  /** Returns the VIPs that have a route of the agent. A kernel without IPv6 has none of that family. */
  async bound(): Promise<ReadonlySet<IPAddress>> {
    const bound = new Set<IPAddress>();
    for (const family of FAMILIES) for (const vip of await this.#list(family)) bound.add(vip);
    return bound;
  }

  /** Removes all routes of the agent. A route that cannot be removed is a warning. */
  async remove(): Promise<StepReport> {
    const vips = [...(await this.bound())];
    const answers = await this.apply(vips.map((address) => ({ kind: "unbind-address", binding: "route", address })));
    const refused = answers.flatMap((answer, at) =>
      answer.ok || answer.errno === "ESRCH" ? [] : [`${vips[at]}: ${answer.errno}`],
    );
    const deleted = vips.length - refused.length;
    return {
      changed: deleted === 0 ? [] : [`deleted ${deleted} routes of VIPs`],
      warnings:
        refused.length === 0 ? [] : [`Cannot delete ${refused.length} routes of VIPs, for example ${refused[0]}`],
    };
  }

  async #list(family: IPFamily): Promise<readonly IPAddress[]> {
    try {
      return await this.#socket.dumpAs("list routes", (writer) => encodeGetRoutes(writer, family), decodeRoute);
    } catch (error) {
      // Without the family, rtnetlink has no function for its routes.
      if (error instanceof NetlinkError && family === "IPv6" && NO_FAMILY.has(error.code)) return [];
      throw error;
    }
  }
}

const NO_FAMILY: ReadonlySet<string> = new Set(["EOPNOTSUPP", "EAFNOSUPPORT"]);
