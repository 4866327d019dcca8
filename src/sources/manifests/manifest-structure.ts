import { type Document, isAlias, isCollection, isMap, isNode, isPair, isScalar, type Node, type YAMLMap } from "yaml";

/** What makes a document unfit to be plain data, and where. */
export interface StructureFault {
  /** Place in the file. */
  readonly offset: number;
  readonly reason: string;
}

/** Objects of Kubernetes need a dozen levels. A walk that calls itself is safe to this depth. */
const MOST_LEVELS = 100;
/** The parser walks the whole document for an alias: ten thousand of them take minutes. */
const MOST_ALIASES = 1_000;

/** What is still to be visited: a node at its depth, or the end of a node that has an anchor. */
type Step = { readonly node: unknown; readonly depth: number } | { readonly end: Node };

/**
 * Finds a fault that the parser does not find, or not in time proportional to the document: too many levels, an alias of a
 * value that contains the alias, too many aliases, a key that stands twice in a map. Undefined when there is none.
 */
export function structureFault({ contents }: Document): StructureFault | undefined {
  const walk = new Walk();
  // A list of steps instead of calls, in the order of the text: documents nest deeper than calls can.
  const steps: Step[] = [{ node: contents, depth: 1 }];
  for (let step = steps.pop(); step !== undefined; step = steps.pop()) {
    if ("end" in step) {
      walk.leave(step.end);
      continue;
    }
    const fault = walk.enter(step);
    if (fault !== undefined) return fault;
    steps.push(...stepsBelow(step));
  }
  return undefined;
}

function stepsBelow({ node, depth }: { readonly node: unknown; readonly depth: number }): readonly Step[] {
  if (isPair(node)) {
    return [
      { node: node.value, depth },
      { node: node.key, depth },
    ];
  }
  if (!isCollection(node)) return [];
  const items = node.items.map((item) => ({ node: item, depth: depth + 1 })).reverse();
  return [{ end: node }, ...items];
}

class Walk {
  /** The last node of each anchor so far: an alias means that one. */
  readonly #anchors = new Map<string, Node>();
  /** Nodes that have begun and not ended. */
  readonly #open = new Set<Node>();
  #aliases = 0;

  leave(node: Node): void {
    this.#open.delete(node);
  }

  enter({ node, depth }: { readonly node: unknown; readonly depth: number }): StructureFault | undefined {
    if (!isNode(node)) return undefined;
    if (isAlias(node)) return this.#aliasFault(node, node.source);
    if (node.anchor !== undefined) this.#anchors.set(node.anchor, node);
    if (!isCollection(node)) return undefined;
    this.#open.add(node);
    if (depth > MOST_LEVELS) return faultAt(node, `is nested deeper than ${MOST_LEVELS} levels`);
    return isMap(node) ? repeatedKey(node) : undefined;
  }

  #aliasFault(alias: Node, anchor: string): StructureFault | undefined {
    this.#aliases++;
    if (this.#aliases > MOST_ALIASES) return faultAt(alias, `has more than ${MOST_ALIASES} aliases`);
    const node = this.#anchors.get(anchor);
    const contains = node !== undefined && this.#open.has(node);
    return contains ? faultAt(alias, `the value of anchor "${anchor}" contains itself`) : undefined;
  }
}

/** The parser compares each key with each other one: 8 s for 20,000 keys. */
function repeatedKey(map: YAMLMap): StructureFault | undefined {
  const keys = new Set<string>();
  for (const { key } of map.items) {
    if (!isScalar(key)) continue;
    const text = String(key.value);
    if (keys.has(text)) return faultAt(key, `has the key "${text}" twice in one map: keys must be unique`);
    keys.add(text);
  }
  return undefined;
}

function faultAt(node: Node, reason: string): StructureFault {
  return { offset: node.range?.[0] ?? 0, reason };
}
