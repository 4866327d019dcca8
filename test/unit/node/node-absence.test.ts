import { expect, test } from "vitest";
import { NodeAbsence } from "../../../src/node/node-absence.ts";
import { ServiceTable } from "../../../src/services/service-table.ts";
import { HandClock } from "../../support/api/worlds/hand-clock.ts";
import { SILENT_LOGGER } from "../../support/api/worlds/silent-logger.ts";
import { clusterNode } from "../../support/objects/builders.ts";

/** The reports about node n1.example.com, whose Services come from an API server or from these manifests. */
function setUp(manifests = "") {
  const clock = new HandClock();
  const table = new ServiceTable();
  const said: string[] = [];
  const warnings: string[] = [];
  let found: boolean | undefined;
  const absence = new NodeAbsence(
    { nodeName: "n1.example.com", manifests },
    {
      clock,
      logger: { ...SILENT_LOGGER, warn: ({ warning }) => said.push(String(warning)) },
      metrics: {
        recordNodeFound: (isFound) => {
          found = isFound;
        },
      },
      onAbsent: (warning) => warnings.push(warning),
    },
  );
  return {
    clock,
    table,
    said,
    warnings,
    check: () => {
      absence.check(table);
      return found;
    },
    listed: () => table.apply({ kind: "listed", resource: "nodes" }),
    upsert: (name: string) => table.apply({ kind: "node-upserted", node: clusterNode(name, {}) }),
  };
}

const CURE = 'set --node-name or --hostname-override to the name in "kubectl get nodes"';

test("a node name without a Node is reported with its remedy when the list of Nodes is complete", () => {
  const { check, listed, said, warnings } = setUp();
  expect(check()).toBe(true);
  expect(said).toEqual([]);
  listed();
  expect(check()).toBe(false);
  expect(said).toEqual([`no Node is named "n1.example.com", so no endpoint counts as local to this node: ${CURE}`]);
  expect(warnings).toEqual(said);
});

test("a node name without a Node is reported once an hour, even if Nodes change often", async () => {
  const { check, clock, listed, said } = setUp();
  listed();
  for (let minutes = 0; minutes < 150; minutes++) {
    check();
    await clock.advance(60_000);
  }
  expect(said).toHaveLength(3);
});

test("a Node that is added later or deleted later is not reported", () => {
  const { check, listed, table, upsert } = setUp();
  listed();
  expect(check()).toBe(false);
  upsert("n1.example.com");
  expect(check()).toBe(true);
  table.apply({ kind: "node-deleted", name: "n1.example.com" });
  expect(check()).toBe(true);
});

test("manifests without Nodes are accepted; with Nodes, the report names one of them", () => {
  const { check, listed, said, upsert } = setUp("/etc/manifests");
  listed();
  expect(check()).toBe(true);
  upsert("n1");
  expect(check()).toBe(false);
  expect(said).toEqual([expect.stringMatching(`${CURE}, for example "n1"$`)]);
});
