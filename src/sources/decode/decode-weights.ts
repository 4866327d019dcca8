import { type IPAddress, parseAddress } from "../../model/address.ts";
import { type Annotation, PREFIX, rejectUnknown } from "./decode-overrides.ts";
import { annotationPath, annotationsOf, type JsonObject, type ObjectReader, stringOf } from "./object-reader.ts";

const WEIGHTS = `${PREFIX}weights`;

/** The maximum weight with which the kernel's weighted schedulers do not overflow. */
const MAX_WEIGHT = 65_535;

/** The annotation of an EndpointSlice for weights. */
export const WEIGHTS_ANNOTATION: Annotation = {
  name: WEIGHTS,
  value: "comma list of address=weight, as `10.244.1.5=3,10.244.1.6=0`",
  effect: `Weights of endpoints, from 0 to ${MAX_WEIGHT}. An endpoint without one has weight 1`,
};

/** The maximum length of the annotation in characters. It has room for 1,000 endpoints, the maximum of a slice. */
const LONGEST_WEIGHTS = 65_536;

/**
 * Reads the weights of endpoints by address, for example "10.244.1.5=3, 10.244.1.6=0". An endpoint with weight 0 gets
 * no new connections. Invalid parts are rejected and left out. An address that is not in the slice is no error, because
 * weights and endpoints may be written by different programs.
 *
 * Undefined without the annotation: looking up 500,000 addresses even in an empty Map costs 13 MB, because V8
 * internalizes every string that is looked up.
 */
export function readWeights(reader: ObjectReader, slice: JsonObject): ReadonlyMap<IPAddress, number> | undefined {
  const annotations = annotationsOf(slice);
  rejectUnknown(reader, annotations, [WEIGHTS_ANNOTATION.name]);
  const text = annotations[WEIGHTS] ?? "";
  if (text === "") return undefined;
  const parts = stringOf(text);
  if (parts.length > LONGEST_WEIGHTS) {
    reader.reject(annotationPath(WEIGHTS), parts, `must not be longer than ${LONGEST_WEIGHTS} characters`);
    return undefined;
  }
  const weights = new Map<IPAddress, number>();
  for (const part of parts.split(",")) {
    const [address, weight] = readPart(part) ?? [];
    const fault = partFault(address, weights);
    if (fault !== undefined) reader.reject(annotationPath(WEIGHTS), part, fault);
    else if (address !== undefined && weight !== undefined) weights.set(address, weight);
  }
  return weights;
}

function readPart(part: string): readonly [IPAddress, number] | undefined {
  const match = /^([^=]+)=\s*(\d{1,5})\s*$/.exec(part);
  const address = parseAddress(match?.[1] ?? "");
  const weight = Number(match?.[2]);
  return address === undefined || weight > MAX_WEIGHT ? undefined : [address, weight];
}

function partFault(address: IPAddress | undefined, before: ReadonlyMap<IPAddress, number>): string | undefined {
  if (address === undefined) return `must be address=weight with a weight from 0 to ${MAX_WEIGHT}`;
  return before.has(address) ? "is a second weight for the same address" : undefined;
}
