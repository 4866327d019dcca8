import { describe, expect, test } from "vitest";
import { testTls } from "../../../../support/api/api-server.ts";
import { apiService } from "../../../../support/api/worlds/reported-cluster.ts";
import { until } from "../../../../support/api/worlds/test-access.ts";
import { listen, serve, transportTo } from "../../../../support/api/worlds/transport-world.ts";

const SERVICES = "/api/v1/services";
const WATCH = `${SERVICES}?watch=true&resourceVersion=100&timeoutSeconds=600`;

const never = new AbortController().signal;

describe("certificates", () => {
  test("of a server that no authority has signed are rejected, unless verification is off", async () => {
    const { access, clock } = await serve({ certificate: "b" });
    const { transport } = transportTo(access, clock);
    await expect(transport.get(SERVICES, never)).rejects.toMatchObject({ kind: "lost" });
    access.tls = { ...access.tls, verify: false };
    expect((await transport.get(SERVICES, never)).status).toBe(200);
  });

  test("of the client are sent", async () => {
    const { access, clock } = await serve({ clientCertificate: "b" });
    const { transport } = transportTo(access, clock);
    await expect(transport.get(SERVICES, never)).rejects.toMatchObject({ kind: "lost" });
    access.tls = { ...access.tls, ...testTls("b") };
    expect((await transport.get(SERVICES, never)).status).toBe(200);
  });

  test("that have changed are used by the next request", async () => {
    const { access, clock, server } = await serve();
    const { transport } = transportTo(access, clock);
    await transport.get(SERVICES, never);
    access.tls = { ...access.tls, ...testTls("b") };
    await transport.get(SERVICES, never);
    expect(server.connections).toBe(2);
  });

  test.each([
    ["our certificate", "h2", { cert: testTls("b").cert, key: testTls("b").key }],
    ["our certificate", "http/1.1", { cert: testTls("b").cert, key: testTls("b").key }],
    ["the authority", "h2", { ca: `${testTls("b").cert}${testTls("a").cert}` }],
  ] as const)(
    "that rotate (%s) move the watches over %s to a new connection within a minute",
    async (_, protocol, change) => {
      const { access, clock, model, server } = await serve({ protocol });
      const { transport, stop } = transportTo(access, clock);
      const running = transport.run();
      const heard = listen(await transport.get(WATCH, never));
      const before = server.connections;
      access.tls = { ...access.tls, ...change };
      await clock.advance(29_000);
      // Some data has to arrive over the real socket, or the old connection would be suspected first.
      model.store.put(SERVICES, apiService("a", 1));
      await until("the event", () => heard.text.endsWith("}\n"));
      await clock.advance(31_000);
      await until("the end", () => heard.end !== undefined);
      expect(heard.end).toBe("moved");
      expect((await transport.get(SERVICES, never)).status).toBe(200);
      expect(server.connections).toBeGreaterThan(before);
      stop.abort();
      await running;
    },
  );
});
