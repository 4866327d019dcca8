import { expect, test } from "vitest";
import { flagsPage, statusPage } from "../../../src/serve/status-page.ts";

const FACTS = {
  version: "0.1.0",
  kubernetesVersion: "v1.36.2",
  node: "v26.1.0",
  startedAtMs: 5000,
  paths: ["/a", "/b"],
};

test("the page has the start, the age, the versions and the paths", () => {
  const clock = { now: () => 5000 + 3_725_900, date: () => new Date(Date.UTC(2026, 10, 21, 5, 2, 5)) };
  expect(statusPage(FACTS, clock)).toBe(`
kube-ipvs statusz
Warning: This endpoint is not meant to be machine parseable, has no formatting compatibility guarantees and is for debugging purposes only.

Started: Sat, 21 Nov 2026 03:59:59 GMT
Up: 1 hr 02 min 05 sec
Node.js version: v26.1.0
Binary version: 0.1.0
Emulation version: v1.36.2
Paths: /a /b
`);
});

test("the flags have a line each, sorted by name, and an empty value stays empty", () => {
  expect(flagsPage({ v: "0", "cluster-cidr": "10.0.0.0/8", master: "" })).toMatch(
    /^\nkube-ipvs flags\nWarning: .*\n\ncluster-cidr=10\.0\.0\.0\/8\nmaster=\nv=0\n$/,
  );
});
