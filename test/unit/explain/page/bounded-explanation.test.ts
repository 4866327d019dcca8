import { expect, test } from "vitest";
import { boundedExplanation } from "../../../../src/explain/page/bounded-explanation.ts";
import type { ExplainedPort, Explanation } from "../../../../src/explain/service/explain-service.ts";
import type { ExplainedEndpoint } from "../../../../src/explain/service/explained-endpoints.ts";
import type { ExplainedFrontend, ExplainedReal } from "../../../../src/explain/service/explained-frontends.ts";

const rows = <Row>(count: number) => Array.from({ length: count }, (_, number) => ({ number }) as unknown as Row);
const port = (endpoints: number, unlisted = 0): ExplainedPort => ({
  port: "80/TCP",
  name: "/TCP",
  endpoints: rows<ExplainedEndpoint>(endpoints),
  unlisted,
});
const frontend = (reals: number) => ({ realServers: rows<ExplainedReal>(reals) }) as unknown as ExplainedFrontend;

function explanation(ports: readonly ExplainedPort[], frontends: readonly ExplainedFrontend[]): Explanation {
  return { service: "shop/web", node: "n1", findings: [], ports, frontends, endpointsChangedAtUnixMs: 0 };
}

test("a small explanation stays as it is", () => {
  const small = explanation([port(3)], [frontend(3), frontend(2)]);
  expect(boundedExplanation(small, 5)).toEqual({ explanation: small, unlisted: 0 });
});

test("the first rows of each kind are listed, and all others counted", () => {
  const large = explanation([port(4), port(4, 7)], [frontend(2), frontend(9), frontend(1)]);
  const { explanation: listed, unlisted } = boundedExplanation(large, 5);
  expect(listed.ports.map(({ endpoints, unlisted: more }) => [endpoints.length, more])).toEqual([
    [4, 0],
    [1, 10],
  ]);
  expect(listed.frontends.map(({ realServers }) => realServers.length)).toEqual([2, 3, 0]);
  expect(unlisted).toBe(3 + 6 + 1);
});

test("ports without room are left out", () => {
  const { explanation: listed, unlisted } = boundedExplanation(explanation([port(0), port(0), port(0)], []), 2);
  expect([listed.ports.length, unlisted]).toEqual([2, 1]);
});
