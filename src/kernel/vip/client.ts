import type { IPAddress } from "../../model/address.ts";
import { type BindingOperation, groupConsecutive } from "../../model/kernel/operation.ts";
import { type BoundVips, boundVips, type VipBinding } from "../../model/vip-binding.ts";
import type { StepReport } from "../kernel.ts";
import type { LinkClient } from "../link/client.ts";
import type { NetlinkAnswer } from "../netlink/socket.ts";
import type { RouteClient } from "../route/client.ts";

/** One way to bind VIPs. */
export interface VipBinder {
  /** Applies operations of this binding in order and returns one answer for each. */
  apply(operations: readonly BindingOperation[]): Promise<readonly NetlinkAnswer[]>;
  /** Returns the VIPs that are bound in this way. */
  bound(): Promise<ReadonlySet<IPAddress>>;
}

/** Binds VIPs in either way, and reads how they are bound. */
export class VipClient {
  readonly #link: LinkClient;
  readonly #routes: RouteClient;
  readonly #binders: Readonly<Record<VipBinding, VipBinder>>;
  /** Whether a read may find routes: the last one did, or one was added since. */
  #mayHaveRoutes = true;

  constructor(link: LinkClient, routes: RouteClient) {
    this.#link = link;
    this.#routes = routes;
    this.#binders = { address: link, route: routes };
  }

  /** Applies the operations in order and returns one answer for each. */
  async apply(operations: readonly BindingOperation[]): Promise<readonly NetlinkAnswer[]> {
    const answers: NetlinkAnswer[] = [];
    for (const { name, items } of groupConsecutive(operations, ({ binding }) => binding)) {
      if (name === "route") this.#mayHaveRoutes = true;
      answers.push(...(await this.#binders[name].apply(items)));
    }
    return answers;
  }

  /**
   * Returns all VIPs with their bindings. If the last read found no route and none was added since, routes are not read
   * again, because the kernel sends those of all programs: a host may have a million.
   */
  async bound(): Promise<BoundVips> {
    const addresses = await this.#link.bound();
    if (!this.#mayHaveRoutes) return boundVips({ address: addresses, route: [] });
    // A route that is added during the read raises it again.
    this.#mayHaveRoutes = false;
    try {
      const routes = await this.#routes.bound();
      if (routes.size > 0) this.#mayHaveRoutes = true;
      return boundVips({ address: addresses, route: routes });
    } catch (error) {
      this.#mayHaveRoutes = true;
      throw error;
    }
  }

  /** Removes all routes of the agent. */
  removeRoutes(): Promise<StepReport> {
    return this.#routes.remove();
  }

  /**
   * Binds as addresses the VIPs that are bound by routes, and then removes the routes: kube-proxy knows addresses alone.
   * A VIP that cannot be bound keeps its route, with a warning.
   */
  async replaceRoutes(): Promise<StepReport> {
    const vips = [...(await this.#routes.bound())];
    if (vips.length === 0) return { changed: [], warnings: [] };
    await this.#link.ensure();
    const bound = await this.#link.apply(
      vips.map((address) => ({ kind: "bind-address", binding: "address", address })),
    );
    const done = vips.filter((_, at) => isBound(bound[at]));
    const removed = await this.#routes.apply(
      done.map((address) => ({ kind: "unbind-address", binding: "route", address })),
    );
    const failed = [
      ...vips.filter((_, at) => !isBound(bound[at])),
      ...done.filter((_, at) => removed[at]?.ok === false),
    ];
    const replaced = vips.length - failed.length;
    return {
      changed: replaced === 0 ? [] : [`replaced ${replaced} routes of VIPs by addresses`],
      warnings:
        failed.length === 0 ? [] : [`Cannot replace the routes of ${failed.length} VIPs, for example ${failed[0]}`],
    };
  }
}

function isBound(answer: NetlinkAnswer | undefined): boolean {
  return answer !== undefined && (answer.ok || answer.errno === "EEXIST");
}
