import { type IPAddress, parseAddress } from "../../model/address.ts";
import { type Annotation, PREFIX, rejectUnknown } from "./decode-choices.ts";
import { annotationPath, annotationsOf, type JsonObject, type ObjectReader, stringOf } from "./object-reader.ts";

const WEIGHTS = `${PREFIX}weights`;

/** What the kernel's weighted schedulers still multiply without overflowing. */
const MAX_WEIGHT = 65_535;

/** The annotation of an EndpointSlice. */
export const WEIGHTS_ANNOTATION: Annotation = {
  name: WEIGHTS,
  value: "comma list of address=weight, as `10.244.1.5=3,10.244.1.6=0`",
  effect: `Weights of endpoints, from 0 to ${MAX_WEIGHT}. An endpoint without one has weight 1`,
};

/** Room for 1,000 endpoints, of which no slice has more. */
const LONGEST_WEIGHTS = 65_536;

/**
 * Weights of endpoints by their address, from an annotation of their slice: "10.244.1.5=3, 10.244.1.6=0". Weight 0 takes no
 * new connections. A wrong part is told and left out. An address that is not in the slice is no fault: who sets weights
 * and who sets endpoints do not wait for each other.
 *
 * Undefined without the annotation: to ask even an empty Map for 500,000 addresses costs 13 MB, as V8 internalizes every
 * text that a Map is asked for.
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
  return before.has(address) ? "is a second weight of that address" : undefined;
}
