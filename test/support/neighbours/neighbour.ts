import type { TestNode } from "../node/netns.ts";

/** Another program on the node that writes rules, addresses or virtual servers of its own, laid out as that program does. */
export interface Neighbour {
  /** Does what the program does at its start. */
  layOut(node: TestNode): Promise<void>;
  /** Does what the program does at its reload, or at its periodic sync. */
  reload(node: TestNode): Promise<void>;
  /** Does what the program does at its removal from the node. */
  remove(node: TestNode): Promise<void>;
  /** Throws unless the program has its effect. */
  expectEffect(node: TestNode): Promise<void>;
}
