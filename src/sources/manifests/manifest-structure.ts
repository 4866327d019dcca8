import { type Document, isAlias, isCollection, isMap, isNode, isPair, isScalar, type Node, type YAMLMap } from "yaml";

/** The reason for which a document cannot become plain data, and its position. */
export interface StructureFault {
  /** The offset in the text of the file. */
  readonly offset: number;
  readonly reason: string;
}

/** The deepest nesting. Kubernetes objects need a dozen levels. Recursive functions are safe to this depth. */
const MOST_LEVELS = 100;
/** The largest number of aliases. For each the parser walks the document; ten thousand take minutes. */
const MOST_ALIASES = 1_000;

/** A step of the walk: a node at its depth to visit, or the end of a node. */
type Step = { readonly node: unknown; readonly depth: number } | { readonly end: Node };

/**
 * Finds a fault that the parser does not find, or does not find in linear time: too many levels, an alias of a value that
 * contains the alias, too many aliases, or a key that appears twice in a map. Returns undefined if there is none.
 */
export function structureFault({ contents }: Document): StructureFault | undefined {
  const walk = new Walk();
  // A stack of steps instead of recursion, because documents may nest deeper than the call stack. In the order of the text.
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
  /** The last node of each anchor until now. An alias refers to that node. */
  readonly #anchors = new Map<string, Node>();
  /** The nodes that contain the present position. */
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

/** Finds a repeated key in linear time. The parser compares each key with each other key: 8 s for 20,000 keys. */
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
