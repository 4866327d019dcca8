import { expect, onTestFinished, test } from "vitest";
import { OutageLog } from "../../../../src/sources/api/outage/outage-log.ts";
import { Reflector } from "../../../../src/sources/api/reflector.ts";
import { watchedNode, watchedServices, watchedSlices } from "../../../../src/sources/api/resources.ts";
import { ApiTransport } from "../../../../src/sources/api/transport/api-transport.ts";
import { ReplayServer, recordedAnswer } from "../../../support/api/replay-server.ts";
import { HandClock } from "../../../support/api/worlds/hand-clock.ts";
import { ReportedCluster } from "../../../support/api/worlds/reported-cluster.ts";
import { SILENT_LOGGER } from "../../../support/api/worlds/silent-logger.ts";
import { TestAccess, until } from "../../../support/api/worlds/test-access.ts";

/** The answers of kube-apiserver 1.36.2, replayed byte for byte over TLS. */
interface Replay {
  readonly told: ReportedCluster;
  /** Each request as "watch from 12", "stream from ''" or "list from 0". */
  readonly asked: readonly string[];
  readonly version: string;
}

async function replay(
  resource: "services" | "slices" | "node",
  answers: readonly (string | Buffer)[],
  pieceBytes = 65_536,
): Promise<Replay> {
  const recorded = answers.map((answer) => (typeof answer === "string" ? recordedAnswer(answer) : answer));
  const server = await ReplayServer.start(recorded, pieceBytes);
  const clock = new HandClock();
  const stop = new AbortController();
  const parts = { clock, logger: SILENT_LOGGER, signal: stop.signal };
  const transport = new ApiTransport(new TestAccess(server.url), parts);
  const told = new ReportedCluster();
  const rest = { ...parts, transport, handler: told, random: () => 0.5, outages: new OutageLog(parts) };
  const reflector = {
    services: () => new Reflector<string, unknown>(watchedServices(), rest),
    slices: () => new Reflector<string, unknown>(watchedSlices(), rest),
    node: () => new Reflector<string, unknown>(watchedNode("node-1"), rest),
  }[resource]();
  const running = reflector.run(stop.signal);
  onTestFinished(async () => {
    stop.abort();
    await running;
    await server.close();
  });
  await until("the request after the last recorded answer", async () => {
    // Time advances only while nothing else can happen.
    if (reflector.stats.state === "waiting") await clock.advance(100);
    return server.requests.length > answers.length;
  });
  return { told, asked: server.requests.map(describeRequest), version: reflector.stats.resourceVersion };
}

function describeRequest(target: string): string {
  const query = new URL(target, "https://api.test").searchParams;
  const kind = query.get("watch") === null ? "list" : query.get("sendInitialEvents") === "true" ? "stream" : "watch";
  return `${kind}${query.get("continue") === null ? "" : " page"} from '${query.get("resourceVersion") ?? ""}'`;
}

const WEB = ["1", "2", "3", "4", "5", "6", "7"];
const SERVICES = WEB.map((n) => `demo/web-${n}=80`);
/** A recorded answer as if its versions were these: those of one test were not always recorded in its order. */
function withVersions(name: string, versions: Readonly<Record<string, string>>): Buffer {
  const answer = recordedAnswer(name).toString();
  return Buffer.from(
    answer.replace(
      /("resourceVersion":")(\d+)/g,
      (_, key: string, version: string) => key + (versions[version] ?? version),
    ),
  );
}

const SLICES = WEB.map((n) => `+slice demo/web-${n}-abcde`);

test.each([
  ["of Services", "services", "40", [...SERVICES, "listed services"], "238"],
  ["of EndpointSlices", "slices", "41", [...SLICES, "listed endpointslices"], "238"],
  ["of nothing", "services", "42", ["listed services"], undefined],
  ["and a change after it", "services", "44", [...SERVICES, "listed services", "demo/web-2=80"], undefined],
  ["without etcd, from the cache", "services", "80", [...SERVICES, "listed services"], undefined],
] as const)("a streamed list %s", async (_, resource, answer, events, version) => {
  const { told, asked, version: reached } = await replay(resource, [answer]);
  expect(told.events).toEqual(events);
  expect(asked).toEqual(["stream from ''", `watch from '${reached}'`]);
  if (version !== undefined) expect(reached).toBe(version);
});

test.each([
  ["etcd is too old", "47", "0"],
  ["the feature is off", "49", "0"],
  ["no end bookmark came before the end", "43", "238"],
])("an ordinary list after a streamed one when %s", async (_, refusal, from) => {
  const { told, asked } = await replay("slices", [refusal, withVersions("04", { 228: "238" })]);
  expect(told.events.slice(-8)).toEqual([...SLICES, "listed endpointslices"]);
  expect(asked.slice(0, 2)).toEqual(["stream from ''", `list from '${from}'`]);
});

test("the pages of a list are one list", async () => {
  const { told, asked, version } = await replay("services", ["49", "01", "02", "03"]);
  expect(told.events).toEqual([...SERVICES, "listed services"]);
  expect(asked.slice(1)).toEqual(["list from '0'", "list page from ''", "list page from ''", "watch from '232'"]);
  expect(version).toBe("232");
});

test("an expired token makes the list start over", async () => {
  const { told, asked } = await replay("services", ["49", "01", "62", "01", "02", "03"]);
  expect(told.events.slice(-8)).toEqual([...SERVICES, "listed services"]);
  expect(asked.slice(1, 5)).toEqual(["list from '0'", "list page from ''", "list from '215'", "list page from ''"]);
});

test.each([1, 7, 100, 2047])("a list in pieces of %i bytes is read as the same list", async (pieceBytes) => {
  const { told } = await replay("slices", ["49", "04"], pieceBytes);
  expect(told.events).toEqual([...SLICES, "listed endpointslices"]);
});

test("an empty list, one Node by its name, and an indented body are lists like others", async () => {
  expect((await replay("services", ["49", "05"])).told.events).toEqual(["listed services"]);
  expect((await replay("node", ["49", "06"])).told.events).toEqual(["+node node-1", "listed nodes"]);
  const { told } = await replay("services", ["49", "08", "02", "03"]);
  expect(told.events).toEqual(SERVICES.toSpliced(1, 2).concat("listed services"));
});

test("a list whose body is cut short deletes nothing and is requested again", async () => {
  const whole = withVersions("04", { 228: "238" });
  const { told, asked } = await replay("slices", ["41", "64", "49", whole.subarray(0, 4000), whole]);
  expect(told.events.filter((event) => event.startsWith("-"))).toEqual([]);
  expect(asked.slice(3)).toEqual(["list from '238'", "list from '238'", "watch from '238'"]);
});

test.each([1, 2, 3, 5, 11, 1000, 65_536])(
  "a watch in pieces of %i bytes reports each event once, in order",
  async (piece) => {
    const { told, version } = await replay("services", ["42", "30"], piece);
    expect(told.events).toEqual(["listed services", "demo/web-8=80", "demo/web-8=80", "-demo/web-8"]);
    expect(version).toBe("356");
  },
);

test("an object that no longer matches the selector is deleted", async () => {
  const empty = withVersions("42", { 239: "236" });
  expect((await replay("services", [empty, "35"])).told.events.slice(1)).toEqual(["demo/web-1=80", "-demo/web-1"]);
});

test("the deletion of an unknown object is no event", async () => {
  const answer = recordedAnswer("35")
    .toString()
    .replace('"type":"ADDED"', '"type":"DELETED"')
    .replace("ADDED", "DELETED");
  // The length of the first chunk has grown by two.
  const length = /\r\n\r\n([0-9a-f]+)\r\n/.exec(answer)?.[1] ?? "";
  const longer = answer.replace(
    `\r\n\r\n${length}\r\n`,
    `\r\n\r\n${(Number.parseInt(length, 16) + 2).toString(16)}\r\n`,
  );
  expect((await replay("services", ["42", Buffer.from(longer)])).told.events).toEqual(["listed services"]);
});

test("a raw U+2028 in an event does not end its line", async () => {
  const answer = recordedAnswer("30").toString();
  const escaped = String.raw`\u2028`;
  expect(answer).toContain(escaped);
  // Six characters of ASCII become three bytes; the spaces keep the chunk's length.
  const { told } = await replay("services", ["42", Buffer.from(answer.replaceAll(escaped, "\u2028   "))]);
  expect(told.events.slice(1)).toEqual(["demo/web-8=80", "demo/web-8=80", "-demo/web-8"]);
});

test("the Node of this name is reported", async () => {
  const empty = withVersions("42", { 239: "228" });
  expect((await replay("node", [empty, "34"])).told.events.slice(0, 2)).toEqual(["listed nodes", "+node node-1"]);
});

test.each([
  ["an ERROR event", "64"],
  ["an ERROR event, from the beginning of time", "65"],
  ["HTTP 410", "66"],
])("a watch whose history is gone, by %s, is replaced by a list that is not older", async (_, answer) => {
  const { asked, told } = await replay("services", ["40", answer, "68"]);
  expect(asked.slice(1, 3)).toEqual(["watch from '238'", "stream from '238'"]);
  expect(told.events.filter((event) => event === "listed services")).toHaveLength(1);
  expect(told.services.size).toBe(7);
});

test.each([
  ["ERROR event", ["40", "64", "45", "40"], ["watch from '238'", "stream from '238'", "stream from '238'"]],
  ["HTTP 504", ["40", "19", "40"], ["watch from '238'", "list from '238'"]],
])("a server that is behind, by %s, is never asked for an older state", async (_, answers, asked) => {
  expect((await replay("services", answers)).asked.slice(1, asked.length + 1)).toEqual(asked);
});

test.each([
  ["401", "11"],
  ["403", "13"],
  ["403 as nobody", "14"],
  ["404", "15"],
  ["429 in plain text", "51"],
  ["500 without a reason", "17"],
])("%s keeps the objects, and the watch is requested again from the same version", async (_, answer) => {
  const { told, asked } = await replay("services", ["40", answer]);
  expect(new Set(asked.slice(1))).toEqual(new Set(["watch from '238'"]));
  expect(told.services.size).toBe(7);
});

test.each([
  ["killed: FIN without the last chunk", "74"],
  ["stopped after GOAWAY", "70"],
  ["at its timeout", "32"],
])("a watch that ends with its server %s is resumed, not listed", async (_, answer) => {
  const { asked, version } = await replay("services", ["40", answer]);
  expect(asked).toEqual(["stream from ''", "watch from '238'", `watch from '${version}'`]);
});

test("of Services of all kinds those for a proxy are reported, without problems", async () => {
  const { told } = await replay("services", ["90"]);
  expect([...told.services.keys()]).toEqual(["edge/lb", "edge/nodeport"]);
  expect(told.problems).toEqual([]);
});

test.each([
  ["streamed", ["91"]],
  ["listed", ["49", "92"]],
])("EndpointSlices with empty lists, without conditions, IPv6 and FQDN, %s", async (_, answers) => {
  const { told } = await replay("slices", answers);
  expect(told.events).toEqual([
    "+slice edge/empty",
    "+slice edge/null-conditions",
    "+slice edge/v6",
    "listed endpointslices",
  ]);
  expect(told.problems).toEqual([]);
});

test("the selectors of kube-proxy leave out the objects that are missing in these lists", async () => {
  const services = await replay("services", ["49", "93"]);
  const slices = await replay("slices", ["49", "94"]);
  expect([services.told.events.at(-1), slices.told.events.at(-1)]).toEqual([
    "listed services",
    "listed endpointslices",
  ]);
});
