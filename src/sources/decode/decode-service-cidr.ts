import { type Cidr, parseCidr } from "../../model/address.ts";
import { problemObject } from "../../model/cluster/problem.ts";
import type { ServiceCIDR } from "../../model/cluster/service.ts";
import type { Decoded } from "../../services/cluster-event.ts";
import { field, identityOf, invalidObject, isJsonObject, ObjectReader } from "./object-reader.ts";

/** Decodes a networking.k8s.io/v1 ServiceCIDR, which is never ignored. Invalid networks are rejected and left out. */
export function decodeServiceCIDR(object: unknown): Decoded<string, ServiceCIDR> {
  const name = identityOf(object)?.name;
  if (name === undefined || !isJsonObject(object)) return invalidObject("ServiceCIDR", object);
  const reader = new ObjectReader(problemObject("ServiceCIDR", name));
  const spec = field(object, "spec");
  if (!isJsonObject(spec)) {
    reader.reject("spec", spec, "must be an object");
    return { kind: "invalid", problems: reader.problems };
  }
  const networks = reader.list(spec, "cidrs", "spec").flatMap((text, index): readonly Cidr[] => {
    const network = typeof text === "string" ? parseCidr(text) : undefined;
    if (network !== undefined) return [network];
    reader.reject(`spec.cidrs[${index}]`, text, 'must be a network, for example "10.96.0.0/16"');
    return [];
  });
  return { kind: "accepted", name, value: { name, networks }, problems: reader.problems };
}
