import fc from "fast-check";
import { expect, test } from "vitest";
import { LocalMarks } from "../../../src/desired/local-marks.ts";
import { portKey, serviceName } from "../../../src/model/service.ts";

const HTTP = portKey("http", "TCP");
const DNS = portKey("dns", "UDP");
const name = (number: number) => serviceName("shop", `service-${number}`);

const script = fc.record({
  count: fc.integer({ min: 1, max: 12 }),
  steps: fc.array(fc.record({ service: fc.nat(9), ports: fc.constantFrom([], [HTTP], [DNS], [HTTP, DNS]) }), {
    maxLength: 40,
  }),
});

/** Marks and who goes without, of the Services given. */
function stateOf(marks: LocalMarks) {
  const services = Array.from({ length: 10 }, (_, number) => name(number));
  const held = services.flatMap((service) =>
    [HTTP, DNS].map((port) => [`${service} ${port}`, marks.indexOf(service, port)] as const),
  );
  return {
    held: held.filter(([, index]) => index !== undefined),
    without: marks.without().map(({ service, port }) => `${service} ${port}`),
  };
}

test("marks follow from the names alone, in whatever order Services come and go", () => {
  fc.assert(
    fc.property(script, fc.infiniteStream(fc.nat()), ({ count, steps }, shuffle) => {
      const marks = new LocalMarks(count);
      for (const { service, ports } of steps) marks.replace(name(service), ports);

      const last = [...new Map(steps.map(({ service, ports }) => [service, ports]))];
      const keys = last.map(() => shuffle.next().value);
      const anew = new LocalMarks(count);
      for (const [service, ports] of last.toSorted(
        (a, b) => (keys[last.indexOf(a)] ?? 0) - (keys[last.indexOf(b)] ?? 0),
      ))
        anew.replace(name(service), ports);
      expect(stateOf(marks)).toEqual(stateOf(anew));
    }),
    { numRuns: 400 },
  );
});

test("no two ports have one mark, and none goes without while a mark is free", () => {
  fc.assert(
    fc.property(script, ({ count, steps }) => {
      const marks = new LocalMarks(count);
      for (const { service, ports } of steps) marks.replace(name(service), ports);
      const { held, without } = stateOf(marks);
      expect(new Set(held.map(([, index]) => index)).size).toBe(held.length);
      for (const [, index] of held) expect(index).toBeLessThan(count);
      const wanted = new Map<number, number>(steps.map(({ service, ports }) => [service, ports.length]));
      const sum = [...wanted.values()].reduce((a, b) => a + b, 0);
      expect(held.length).toBe(Math.min(count, sum));
      expect(without.length).toBe(sum - held.length);
    }),
  );
});

test("every Service whose mark changes is told, but for the one that asked", () => {
  fc.assert(
    fc.property(script, ({ count, steps }) => {
      const marks = new LocalMarks(count);
      for (const { service, ports } of steps) {
        const of = (number: number) => [HTTP, DNS].map((port) => marks.indexOf(name(number), port));
        const before = Array.from({ length: 10 }, (_, number) => of(number));
        const told = marks.replace(name(service), ports);
        before.forEach((indexes, number) => {
          const changed = indexes.join() !== of(number).join();
          if (changed && number !== service) expect(told).toContain(name(number));
        });
        expect(told).not.toContain(name(service));
      }
    }),
  );
});

test("with all marks taken the last by name go without, until one is free", () => {
  const marks = new LocalMarks(1);
  marks.replace(name(2), [HTTP]);
  expect([...marks.replace(name(1), [HTTP])]).toEqual([name(2)]);
  expect(marks.indexOf(name(1), HTTP)).toBe(0);
  expect(marks.without()).toEqual([expect.objectContaining({ service: name(2), port: HTTP })]);
  expect([...marks.replace(name(1), [])]).toEqual([name(2)]);
  expect(marks.indexOf(name(2), HTTP)).toBe(0);
  expect(marks.without()).toEqual([]);
});
