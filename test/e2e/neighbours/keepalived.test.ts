import { afterAll, beforeAll, expect, test } from "vitest";
import { Keepalived } from "../../support/neighbours/keepalived.ts";
import { SharedNode } from "../../support/neighbours/shared-node.ts";

/** keepalived with VRRP addresses and virtual servers of its own in the IPVS table that the agent programs. */
let shared: SharedNode;

beforeAll(async () => {
  shared = await SharedNode.create();
});

afterAll(() => shared?.[Symbol.asyncDispose]());

test.each(["neighbour", "agent"] as const)(
  "keepalived serves its own virtual servers, and Services are served at its addresses and at others, when the %s starts first",
  async (first) => {
    await shared.live(new Keepalived(), first);
  },
);

test("keepalived removes nothing of the agent when it starts, reloads and ends while no agent runs", async () => {
  const { node } = shared;
  const agent = await shared.start();
  await agent[Symbol.asyncDispose]();
  const programmed = await shared.othersState();
  expect(programmed).toContain("-A -t 10.96.0.1:80 -s rr");
  const keepalived = new Keepalived();
  await keepalived.layOut(node);
  expect(await shared.othersState()).toEqual(
    expect.arrayContaining(programmed.filter((line) => !line.startsWith("eth0@"))),
  );
  await keepalived.reload(node);
  await keepalived.remove(node);
  expect(await shared.othersState()).toEqual(programmed);
  await shared.cleanUp();
});
