import { expect, test } from "vitest";
import { SCENARIOS } from "../../../bench/cli/arguments.ts";
import { type PlanOptions, planOf } from "../../../bench/cli/plan.ts";
import { Progress } from "../../../bench/cli/progress.ts";
import { commandText } from "../../../bench/cli/run-command.ts";
import { compareSizes } from "../../../bench/report/size.ts";
import { keepalivedConfiguration } from "../../../bench/subjects/keepalived.ts";
import { peerCommand, peerOf } from "../../../bench/subjects/subject.ts";

const SMALL = { services: 100, endpoints: 10, ports: 1 };
const options = (parts: Partial<PlanOptions>): PlanOptions => ({
  ...{ sizes: [SMALL], scenarios: SCENARIOS, peers: [], rounds: 3, seconds: 60, churnLimit: 200, folder: "/run/bench" },
  ...parts,
});
const titles = (parts: Partial<PlanOptions>) =>
  planOf(options(parts)).flatMap(({ steps }) => steps.map(({ title }) => title.replace(/^.*?: /, "")));

test("rounds of the agent and of the floors alternate, because machines are noisy", () => {
  const round = ["kube-ipvs from objects in memory to the kernel", "floor, bytes", "floor, tools"];
  expect(titles({ scenarios: ["sync"], rounds: 2 })).toEqual(["recording of the datagrams", ...round, ...round]);
});

test("every peer has the scenarios of the agent", () => {
  expect(titles({ scenarios: ["cold", "change"], rounds: 1, peers: ["kube-proxy --config f"] })).toEqual([
    "kube-ipvs, cold start, change",
    "kube-proxy, cold start, change",
  ]);
});

test("a large cluster has one round, and 100,000 Services have the kernel in memory", () => {
  const large = { services: 50_000, endpoints: 10, ports: 1 };
  expect(titles({ sizes: [large], scenarios: ["cold", "memory"] })).toEqual([
    "kube-ipvs, cold start",
    "kube-ipvs with a kernel in memory",
  ]);
});

test("a peer has the name of its program, or the one that it is given", () => {
  expect(peerOf("/usr/bin/kube-proxy --config=a")).toMatchObject({
    name: "kube-proxy",
    command: "/usr/bin/kube-proxy --config=a",
  });
  expect(peerOf("nft mode=kube-proxy --config=a")).toMatchObject({
    name: "nft mode",
    command: "kube-proxy --config=a",
  });
  expect(peerCommand("p --kubeconfig={kubeconfig} {kubeconfig}", "/k")).toBe("p --kubeconfig=/k /k");
});

test("the remaining time grows with the slowness of the machine", () => {
  let now = 0;
  const progress = new Progress([10, 10, 20], () => now);
  expect(progress.begin(0)).toBe("step 1 of 3, 0 s done, about 40 s left");
  now = 30_000;
  progress.end(0);
  expect(progress.begin(1)).toBe("step 2 of 3, 30 s done, about 90 s left".replace("90 s", "2 min"));
  now = 60_000;
  progress.end(1);
  expect(progress.begin(2)).toBe("step 3 of 3, 60 s done, about 60 s left");
  expect(progress.done).toBe(2);
});

test("keepalived gets each virtual server with its real servers", () => {
  const server = { protocol: "TCP", address: "10.96.0.1", port: 80, served: true, absent: [] } as const;
  const text = keepalivedConfiguration([{ ...server, present: ["10.0.0.1:8080", "10.0.0.2:8080"] }]);
  expect(text).toMatch(/virtual_server 10\.96\.0\.1 80 \{\n {2}lb_algo rr\n {2}lb_kind NAT\n {2}protocol TCP\n/);
  expect(text.match(/real_server 10\.0\.0\.[12] 8080 \{/g)).toHaveLength(2);
});

test("the command in the results names no folders", () => {
  expect(commandText([])).toBe("npm run bench");
  expect(commandText(["--out", "/a/b", "1000x10", "--peer", "p=/usr/bin/proxy --config /etc/c"])).toBe(
    "npm run bench -- 1000x10 --peer 'p=proxy --config c'",
  );
  expect(commandText(["--out=/a/b", "--quick"])).toBe("npm run bench -- --quick");
});

test("sizes are sorted by Services, other shapes behind them", () => {
  const sizes = ["1x10x1000", "10000x10", "45000x1", "100x10", "50000x10"];
  expect(sizes.toSorted(compareSizes)).toEqual(["100x10", "10000x10", "50000x10", "1x10x1000", "45000x1"]);
});
