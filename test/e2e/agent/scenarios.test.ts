import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, test } from "vitest";
import { NetlinkKernel } from "../../../src/kernel/netlink-kernel.ts";
import { FAMILIES } from "../../../src/model/address.ts";
import { Shell } from "../../support/node/shell.ts";
import { heldLines } from "../../support/node/witness.ts";
import { parseScenario } from "../../support/scenario/scenario.ts";
import { runScenario } from "../../support/scenario/scenario-runner.ts";

/**
 * The scenarios on the real kernel, with ipvsadm, ip and ipset as witnesses of its state. Sockets belong to the namespace of
 * the process, so all share one, which is cleaned between them.
 */
const FOLDER = join(import.meta.dirname, "../../scenarios");

const shell = new Shell();
let kernel: NetlinkKernel;

beforeEach(() => {
  kernel = new NetlinkKernel({ chains: {} });
});

afterEach(async () => {
  const { servers } = await kernel.observe("all");
  await kernel.apply([...servers.values()].map(({ server }) => ({ kind: "delete-virtual-server", server })));
  await kernel.remove(FAMILIES);
  await kernel.close();
});

afterAll(() => shell[Symbol.asyncDispose]());

const files = globSync("*/*.txt", { cwd: FOLDER }).toSorted();

test.each(files)("%s", async (file) => {
  await runScenario(parseScenario(readFileSync(join(FOLDER, file), "utf8")), {
    kernel,
    observeText: () => heldLines(shell),
  });
});
