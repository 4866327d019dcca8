import { EventEmitter } from "node:events";
import fc from "fast-check";
import { expect, test } from "vitest";
import { ConnectionLimit } from "../../../src/serve/connection-limit.ts";

class FakeConnection extends EventEmitter {
  isOpen = true;
  readonly remoteAddress: string;

  constructor(remoteAddress: string) {
    super();
    this.remoteAddress = remoteAddress;
  }

  /** As a socket, it emits the event later. */
  destroy(): void {
    this.isOpen = false;
  }
}

const step = fc.record({
  address: fc.integer({ min: 1, max: 6 }).map((number) => `10.244.0.${number}`),
  closes: fc.nat(3),
});

test("limits hold, the newest connection is accepted, and only connections of the addresses with the most are closed", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const limits = { all: 12, each: 5 };
      const limit = new ConnectionLimit(limits);
      let open: FakeConnection[] = [];
      const countOf = (address: string) => open.filter(({ remoteAddress }) => remoteAddress === address).length;
      for (const { address, closes } of steps) {
        const newest = new FakeConnection(address);
        open.push(newest);
        const most = Math.max(...open.map(({ remoteAddress }) => countOf(remoteAddress)));
        const isFull = open.length > limits.all;
        limit.admit(newest);
        const closed = open.filter(({ isOpen }) => !isOpen);
        expect(newest.isOpen).toBe(true);
        expect(closed).toHaveLength(countOf(address) > limits.each || isFull ? 1 : 0);
        for (const one of closed) {
          expect(countOf(one.remoteAddress)).toBe(most);
          expect(open.find(({ remoteAddress }) => remoteAddress === one.remoteAddress)).toBe(one);
          one.emit("close");
        }
        open = open.filter(({ isOpen }) => isOpen);
        // Some connections end by themselves.
        const ended = closes === 0 ? open.splice(0, 2) : [];
        for (const one of ended) one.emit("close");
      }
      expect(open.length).toBeLessThanOrEqual(limits.all);
    }),
  );
});
