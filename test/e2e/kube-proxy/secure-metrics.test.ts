import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { testTls } from "../../support/api/api-server.ts";
import { ControlPlane } from "../../support/api/worlds/control-plane.ts";
import { AgentProcess } from "../../support/node/agent-process.ts";
import { TestNode } from "../../support/node/netns.ts";
import { nodeObject } from "../../support/objects/builders.ts";
import { Prometheus } from "../../support/prometheus/prometheus.ts";
import { isMissing } from "../../support/run/missing.ts";
import { eventually } from "../../support/time/eventually.ts";
import { patient } from "../../support/time/patience.ts";

/** Metrics over TLS for clients that the API server authenticates, read from outside of the node by curl and Prometheus. */
let node: TestNode;
let plane: ControlPlane;
let agent: AgentProcess;
let folder: string;

const READER = "system:serviceaccount:monitoring:prometheus";

beforeAll(async () => {
  folder = await mkdtemp("/run/kube-ipvs-serving-");
  for (const name of ["a", "b"] as const) await writeFile(file(`${name}.crt`), testTls(name).cert);
  node = await TestNode.create({ pods: [] });
  plane = await ControlPlane.create(node);
  plane.put(nodeObject(node.name, { ips: [node.node.ip, node.node.ip6] }));
  const { tokens, permissions } = plane.model.reviews;
  tokens.set("reader", { username: READER, groups: ["system:authenticated"] });
  tokens.set("stranger", { username: "system:serviceaccount:shop:web", groups: ["system:authenticated"] });
  permissions.add(`${READER} get /metrics`);
  agent = AgentProcess.start(
    node,
    plane,
    ...["--metrics-bind-address", "0.0.0.0:10249", "--metrics-authorization"],
    ...["--metrics-tls-cert-file", file("tls.crt"), "--metrics-tls-private-key-file", file("tls.key")],
  );
}, patient(120_000));

afterAll(async () => {
  await agent?.[Symbol.asyncDispose]();
  await plane?.[Symbol.asyncDispose]();
  await node?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

function file(name: string): string {
  return join(folder, name);
}

/** Replaces the files of the certificate, each at once. */
async function serveWith(name: "a" | "b"): Promise<void> {
  const { cert, key } = testTls(name);
  for (const [path, text] of [
    [file("tls.key"), key],
    [file("tls.crt"), cert],
  ] as const) {
    await writeFile(`${path}.new`, text);
    await rename(`${path}.new`, path);
  }
}

/** The status of a request from outside, or the exit code of curl as "curl 60" for an untrusted certificate. */
async function status(path: string, token: string, ca: "a" | "b" = "a", scheme = "https"): Promise<string> {
  const { code, out } = await node.outside.namespace.finished([
    ...["curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--cacert", file(`${ca}.crt`)],
    ...["--connect-to", `localhost:10249:${node.node.ip}:10249`],
    ...(token === "" ? [] : ["--header", `Authorization: Bearer ${token}`]),
    `${scheme}://localhost:10249${path}`,
  ]);
  return code === 0 ? out : `curl ${code}`;
}

test("without the files the server does not listen, reports it by Event, and listens when they are there", async () => {
  await agent.logged("cannot listen");
  expect(await status("/metrics", "reader")).toBe("curl 7");
  await eventually(
    () => {
      const notes = [...plane.model.events.events.values()].map(({ reason, note }) => `${reason}: ${note}`);
      expect(notes).toContainEqual(
        expect.stringMatching(/^FailedToStartMetricServer: Cannot read ".*tls\.crt": ENOENT: no such file/),
      );
    },
    { withinMs: 30_000 },
  );
  await serveWith("a");
  await eventually(async () => expect(await status("/metrics", "reader")).toBe("200"), { withinMs: 30_000 });
});

test.each([
  ["the reader gets the metrics", "/metrics", "reader", "200"],
  ["no token is refused", "/metrics", "", "401"],
  ["an unknown token is refused", "/metrics", "forged", "401"],
  ["a user without permission is refused", "/metrics", "stranger", "403"],
  ["the reader is refused at a path that it may not get", "/statusz", "reader", "403"],
])("%s", async (_, path, token, expected) => {
  await eventually(async () => expect(await status(path, token)).toBe(expected));
});

test("a client without TLS gets no response", async () => {
  expect(await status("/metrics", "reader", "a", "http")).toMatch(/^curl (52|56)$/);
});

describe.skipIf(isMissing("prometheus"))("a Prometheus outside", () => {
  const scrape = (token: string) => ({
    scheme: "https",
    tls_config: { ca_file: file("a.crt"), server_name: "localhost" },
    authorization: { credentials: token },
  });

  test.each([
    ["reader", "1"],
    ["stranger", "0"],
  ])("with the token of the %s sees up %s", async (token, up) => {
    await using prometheus = await Prometheus.start(node.outside, `${node.node.ip}:10249`, scrape(token));
    await eventually(async () => expect(await prometheus.query(`up{job="kube-proxy"} == ${up}`)).toHaveLength(1), {
      withinMs: 30_000,
      everyMs: 500,
    });
    const memory = await prometheus.query('process_resident_memory_bytes{job="kube-proxy"}');
    expect(memory).toHaveLength(Number(up));
  });
});

test("a replaced certificate is used without a restart", async () => {
  expect(await status("/metrics", "reader", "b")).toBe("curl 60");
  await serveWith("b");
  await eventually(async () => expect(await status("/metrics", "reader", "b")).toBe("200"), {
    withinMs: 60_000,
    everyMs: 500,
  });
  expect(await status("/metrics", "reader", "a")).toBe("curl 60");
});
