import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { sourceEvidence } from "../../../../src/commands/diagnosis/source-evidence.ts";
import { type Given, type GivenTexts, readConfig } from "../../../../src/config/config.ts";
import { ApiModel } from "../../../support/api/api-model.ts";
import { ApiServer, testTls } from "../../../support/api/api-server.ts";
import { HandClock } from "../../../support/api/worlds/hand-clock.ts";
import { SILENT_LOGGER } from "../../../support/api/worlds/silent-logger.ts";
import { folderOf, kubeconfigText } from "../../../support/objects/kubeconfigs.ts";

const given = (texts: Readonly<Record<string, string>>): GivenTexts =>
  Object.fromEntries(Object.entries(texts).map(([key, text]): [string, Given] => [key, { source: `--${key}`, text }]));
const evidence = (texts: Readonly<Record<string, string>>) =>
  sourceEvidence(readConfig(given({ nodeName: "n1", ...texts })).config, SILENT_LOGGER);

test("the servers and the client certificate of a kubeconfig are examined, and the certificate of the metrics server", async () => {
  const server = await ApiServer.start(new ApiModel(new HandClock()));
  onTestFinished(() => server.close());
  const { cert, key } = testTls("b");
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  const folder = await folderOf({
    config: kubeconfigText({
      cluster: { server: server.url, "certificate-authority-data": base64(testTls("a").cert) },
      user: { "client-certificate-data": base64(cert), "client-key-data": base64(key) },
    }),
    "tls.crt": cert,
  });
  const [path, metricsCertFile] = [join(folder, "config"), join(folder, "tls.crt")];
  const { servers, certificates, sourceFailure } = await evidence({ kubeconfig: path, metricsCertFile });
  expect(sourceFailure).toBe("");
  expect(servers).toMatchObject([{ failure: "", address: `127.0.0.1:${server.port}` }]);
  expect(certificates.map(({ name, kind }) => `${kind}: ${name}`)).toEqual([
    `server: the certificate of ${servers[0]?.url}`,
    `client: the client certificate of kubeconfig "${path}"`,
    `metrics: the certificate of the metrics server "${metricsCertFile}"`,
  ]);
  expect(Math.min(...certificates.map(({ leftMs }) => leftMs))).toBeGreaterThan(0);
});

test("a kubeconfig that cannot be read is the failure of the source", async () => {
  const { sourceFailure, servers } = await evidence({ kubeconfig: "/does/not/exist" });
  expect(sourceFailure).toContain('Cannot read kubeconfig "/does/not/exist"');
  expect(servers).toEqual([]);
});

test("without a source nothing is wrong with it", async () => {
  expect(await evidence({})).toEqual({
    cluster: { events: [], problems: [] },
    sourceFailure: "",
    servers: [],
    certificates: [],
  });
});
