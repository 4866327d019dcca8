import { DesiredState } from "../../../src/desired/desired-state.ts";
import { serviceName } from "../../../src/model/cluster/service.ts";
import type { ServiceSpec, SliceSpec } from "./builders.ts";
import { built } from "./desired.ts";

/** The Services of the namespace shop by their names, and their slices. */
export type Given = Readonly<Record<string, readonly [ServiceSpec, Record<string, SliceSpec>?]>>;

/** What a node should have for these Services. */
export function desiredOf(given: Given): DesiredState {
  const desired = new DesiredState();
  for (const [name, [spec, slices]] of Object.entries(given)) {
    desired.replace(serviceName("shop", name), built(`shop/${name}`, spec, slices));
  }
  return desired;
}

/** A Service with session affinity and endpoints on two nodes. */
export const WEB: Given = {
  web: [
    { affinity: 600 },
    {
      "shop/web-1": {
        endpoints: [
          { ip: "10.244.2.5", node: "n2" },
          { ip: "10.244.1.5", node: "n1" },
        ],
      },
    },
  ],
};
