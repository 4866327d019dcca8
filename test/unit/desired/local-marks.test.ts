import fc from "fast-check";
import { expect, test } from "vitest";
import { LocalMarks } from "../../../src/desired/local-marks.ts";
import { type PortKey, portKey, serviceName } from "../../../src/model/cluster/service.ts";

const HTTP = portKey("http", "TCP");
const DNS = portKey("dns", "UDP");
const name = (number: number) => serviceName("shop", `service-${number}`);
const ports = (count: number) => Array.from({ length: count }, (_, index) => portKey(`p${index}`, "UDP"));

const SERVICES = 10;
const script = fc.record({
  count: fc.integer({ min: 1, max: 12 }),
  steps: fc.array(
    fc.record({
      service: fc.nat(SERVICES - 1),
      ports: fc.oneof(
        fc.constantFrom([], [HTTP], [DNS], [HTTP, DNS], [DNS, HTTP]),
        fc.integer({ min: 3, max: 20 }).map(ports),
      ),
    }),
    { maxLength: 40 },
  ),
});

/** The last ports of each Service. */
function lastOf(steps: readonly { readonly service: number; readonly ports: readonly PortKey[] }[]) {
  return new Map(steps.map((step) => [step.service, step.ports]));
}

/** The marks of the Services of the script, and the first port of each without one. */
function stateOf(marks: LocalMarks) {
  const services = Array.from({ length: SERVICES }, (_, number) => name(number));
  return {
    assigned: services.flatMap((service) =>
      [...marks.marksOf(service)].map(([port, mark]) => [`${service} ${port}`, mark]),
    ),
    without: services.map((service) => marks.firstWithout(service)),
  };
}

test("marks depend on the Services alone, not on the order in which they are added and removed", () => {
  fc.assert(
    fc.property(script, fc.infiniteStream(fc.nat()), ({ count, steps }, shuffle) => {
      const marks = new LocalMarks(count);
      for (const step of steps) marks.replace(name(step.service), step.ports);

      const last = [...lastOf(steps)];
      const keys = last.map(() => shuffle.next().value);
      const anew = new LocalMarks(count);
      for (const [service, desired] of last.toSorted(
        (a, b) => (keys[last.indexOf(a)] ?? 0) - (keys[last.indexOf(b)] ?? 0),
      ))
        anew.replace(name(service), desired);
      expect(stateOf(marks)).toEqual(stateOf(anew));
    }),
    { numRuns: 400 },
  );
});

test("no two ports share a mark, and marks go to the first ports of all Services by name, then to the second ones", () => {
  fc.assert(
    fc.property(script, ({ count, steps }) => {
      const marks = new LocalMarks(count);
      for (const step of steps) marks.replace(name(step.service), step.ports);
      const { assigned, without } = stateOf(marks);
      expect(new Set(assigned.map(([, index]) => index)).size).toBe(assigned.length);
      for (const [, index] of assigned) expect(index).toBeLessThan(count);

      const desired = lastOf(steps);
      const inOrder: string[] = [];
      for (let rank = 0; rank < 20; rank++) {
        const level = [...desired].flatMap(([service, list]) =>
          list.slice(rank, rank + 1).map((p) => `${name(service)} ${p}`),
        );
        inOrder.push(...level.sort());
      }
      expect(assigned.map(([port]) => port).sort()).toEqual(inOrder.slice(0, count).sort());
      for (const [service, list] of desired) {
        expect(without[service]).toBe(
          list.find((port) => !inOrder.slice(0, count).includes(`${name(service)} ${port}`)),
        );
      }
    }),
    { numRuns: 400 },
  );
});

test("every Service whose mark changes is returned, except the changed Service", () => {
  fc.assert(
    fc.property(script, ({ count, steps }) => {
      const marks = new LocalMarks(count);
      const stateOfOne = (number: number) =>
        JSON.stringify([[...marks.marksOf(name(number))], marks.firstWithout(name(number))]);
      for (const step of steps) {
        const before = Array.from({ length: SERVICES }, (_, number) => stateOfOne(number));
        const returned = marks.replace(name(step.service), step.ports);
        before.forEach((state, number) => {
          if (state !== stateOfOne(number) && number !== step.service) expect(returned).toContain(name(number));
        });
        expect(returned).not.toContain(name(step.service));
      }
    }),
  );
});

/** How many marks differ from the former ones; a removed mark counts as one. */
function changes(before: ReadonlyMap<PortKey, number>, after: ReadonlyMap<PortKey, number>): number {
  return [...before].filter(([port, mark]) => after.get(port) !== mark).length;
}

test("beside a Service of 300 UDP ports the 2 ports of another one get marks, and most of the 300 keep theirs", () => {
  const [big, small] = [name(1), name(2)];
  const marks = new LocalMarks(128);
  marks.replace(big, ports(300));
  const before = marks.marksOf(big);
  expect(before.size).toBe(128);
  marks.replace(small, ports(2));
  expect(marks.marksOf(small).size).toBe(2);
  expect([...marks.marksOf(big).keys()]).toEqual(ports(126));
  expect(marks.firstWithout(big)).toBe(portKey("p126", "UDP"));
  expect(changes(before, marks.marksOf(big))).toBeLessThanOrEqual(32);
});

test("64 Services that are added one after another move at most 16 of 128 marks, and as few when they are removed", () => {
  const marks = new LocalMarks(128);
  const services = Array.from({ length: 64 }, (_, number) => name((number * 37) % 64));
  const marksOf = () => services.map((service) => marks.marksOf(service));
  const moved = (service: (typeof services)[number], desired: readonly PortKey[]) => {
    const before = marksOf();
    marks.replace(service, desired);
    const own = services.indexOf(service);
    return marksOf().reduce(
      (sum, after, index) => (index === own ? sum : sum + changes(before[index] ?? after, after)),
      0,
    );
  };
  const coming = services.map((service) => moved(service, [HTTP])).reduce((a, b) => a + b);
  const going = services.map((service) => moved(service, [])).reduce((a, b) => a + b);
  expect(coming).toBeLessThanOrEqual(16);
  expect(going).toBeLessThanOrEqual(16);
});

test("with all marks taken the last ports by name have none until a mark is free", () => {
  const marks = new LocalMarks(1);
  marks.replace(name(2), [HTTP]);
  expect([...marks.replace(name(1), [HTTP])]).toEqual([name(2)]);
  expect(marks.marksOf(name(1)).get(HTTP)).toBe(0);
  expect(marks.firstWithout(name(2))).toBe(HTTP);
  expect([...marks.replace(name(1), [])]).toEqual([name(2)]);
  expect(marks.marksOf(name(2)).get(HTTP)).toBe(0);
  expect(marks.firstWithout(name(2))).toBeUndefined();
});

/** CPU time of adding and removing 500 Services while so many others wait for a mark. */
function cpuOfChanges(others: number): number {
  const marks = new LocalMarks(128);
  for (let number = 0; number < others; number++) marks.replace(name(number), [HTTP]);
  const start = process.cpuUsage();
  for (let round = 0; round < 500; round++) {
    // The name sorts before all others: it takes a mark, and a waiting port gets it back.
    marks.replace(serviceName("a", `${round % 7}`), [HTTP]);
    marks.replace(serviceName("a", `${round % 7}`), []);
  }
  const { user, system } = process.cpuUsage(start);
  return user + system;
}

test("a change costs the same beside 50,000 Services that wait for a mark as beside 500", () => {
  const few = Math.min(cpuOfChanges(500), cpuOfChanges(500));
  const many = Math.min(cpuOfChanges(50_000), cpuOfChanges(50_000));
  expect(many / few).toBeLessThan(10);
});

test("adding and removing a Service of 20,000 ports costs 20 times as much as one of 1,000 ports", () => {
  const cpuOf = (count: number) => {
    const marks = new LocalMarks(128);
    const start = process.cpuUsage();
    for (let round = 0; round < 20_000 / count; round++) {
      marks.replace(name(1), ports(count));
      marks.replace(name(1), []);
    }
    const { user, system } = process.cpuUsage(start);
    return user + system;
  };
  const many = Math.min(cpuOf(1000), cpuOf(1000));
  const one = Math.min(cpuOf(20_000), cpuOf(20_000));
  expect(one / many).toBeLessThan(6);
});
