import { onTestFinished } from "vitest";
import { ApiTransport } from "../../../../src/sources/api/transport/api-transport.ts";
import { type ApiResponse, TransportError } from "../../../../src/sources/api/transport/transport.ts";
import { ApiModel } from "../api-model.ts";
import { ApiServer, type ApiServerOptions } from "../api-server.ts";
import { HandClock } from "./hand-clock.ts";
import { SILENT_LOGGER } from "./silent-logger.ts";
import { TestAccess } from "./test-access.ts";

/** An API server that knows the time of its clock, and access to it. */
export async function serve(options: ApiServerOptions = {}) {
  const clock = new HandClock();
  const model = new ApiModel(clock);
  const server = await ApiServer.start(model, options);
  onTestFinished(() => server.close());
  return { clock, model, server, access: new TestAccess(server.url) };
}

/** A transport to the server; its stop ends it. */
export function transportTo(access: TestAccess, clock: HandClock) {
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const transport = new ApiTransport(access, { clock, logger: SILENT_LOGGER, signal: stop.signal });
  return { transport, stop };
}

/** Reads an open body in the background; its text, and how it ended. */
export function listen(response: ApiResponse) {
  const heard = { text: "", end: undefined as string | undefined };
  const read = async () => {
    try {
      await response.body.read((chunk) => {
        heard.text += Buffer.from(chunk).toString();
      });
      heard.end = "complete";
    } catch (error) {
      heard.end = error instanceof TransportError ? error.kind : "aborted";
    }
  };
  void read();
  return heard;
}
