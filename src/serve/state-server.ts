import { chmod, mkdir, unlink } from "node:fs/promises";
import { connect } from "node:net";
import { dirname } from "node:path";
import { Readable } from "node:stream";
import fastify, { type FastifyInstance, type FastifyReply } from "fastify";
import type { Logger } from "../model/logger.ts";

/** An answer as an object for programs, and as text for people. */
export interface StateAnswer {
  readonly json: object;
  readonly text: string;
}

/** What can be asked of the running agent. */
export interface StateSource {
  /** The state of the agent as a whole. */
  status(): StateAnswer;
  /** A line of each Service, each made when it is asked for. */
  services(): Iterable<StateAnswer>;
  /** The explanation of one Service or one port of it; undefined: the name is not valid. */
  service(namespace: string, name: string, port: string | undefined): Promise<StateAnswer | undefined>;
}

/** The Services that are written in one turn of the event loop. */
const SERVICES_PER_TURN = 100;

/**
 * Adds /status, /state (all Services) and /state/NAMESPACE/SERVICE?port=PORT to a server: JSON, or text for curl and with
 * `?output=text`. The list of Services is made while it is sent, some Services in each turn of the event loop, and no faster
 * than the client reads.
 */
export function addStateRoutes(server: FastifyInstance, source: StateSource): void {
  server.get<{ Querystring: Query }>("/status", async (request, reply) =>
    send(reply, source.status(), isForPeople(request.query, request.headers)),
  );
  server.get<{ Querystring: Query }>("/state", async (request, reply) => {
    const isText = isForPeople(request.query, request.headers);
    return reply.headers(headersOf(isText)).send(Readable.from(isText ? textPieces(source) : jsonPieces(source)));
  });
  server.get<{ Querystring: Query; Params: { namespace: string; name: string } }>(
    "/state/:namespace/:name",
    async ({ params: { namespace, name }, query, headers }, reply) => {
      const answer = await source.service(namespace, name, query.port);
      if (answer !== undefined) return send(reply, answer, isForPeople(query, headers));
      return reply.code(400).headers(headersOf(true)).send("The path must be /state/NAMESPACE/SERVICE\n");
    },
  );
}

interface Query {
  readonly output?: string;
  readonly port?: string;
}

function isForPeople({ output }: Query, headers: { readonly "user-agent"?: string | undefined }): boolean {
  return output === undefined ? headers["user-agent"]?.startsWith("curl/") === true : output === "text";
}

function headersOf(isText: boolean): Readonly<Record<string, string>> {
  const type = isText ? "text/plain; charset=utf-8" : "application/json";
  return { "content-type": type, "x-content-type-options": "nosniff", "cache-control": "no-store" };
}

function send(reply: FastifyReply, { json, text }: StateAnswer, isText: boolean): FastifyReply {
  return reply.headers(headersOf(isText)).send(isText ? text : `${JSON.stringify(json, null, 2)}\n`);
}

async function* jsonPieces(source: StateSource): AsyncGenerator<string> {
  yield `{"agent":${JSON.stringify(source.status().json)},"services":[`;
  let before = "\n";
  for await (const part of inTurns(source.services())) {
    yield before + part.map(({ json }) => JSON.stringify(json)).join(",\n");
    before = ",\n";
  }
  yield "\n]}\n";
}

async function* textPieces(source: StateSource): AsyncGenerator<string> {
  yield `${source.status().text}\n`;
  for await (const part of inTurns(source.services())) yield part.map(({ text }) => text).join("");
}

/** A stream takes each part in a turn of its own. */
async function* inTurns(answers: Iterable<StateAnswer>): AsyncGenerator<readonly StateAnswer[]> {
  let part: StateAnswer[] = [];
  for (const answer of answers) {
    part.push(answer);
    if (part.length < SERVICES_PER_TURN) continue;
    yield part;
    part = [];
    await new Promise((resolve) => setImmediate(resolve));
  }
  if (part.length > 0) yield part;
}

/** What the socket has that the metrics server has not. */
export interface SocketOptions {
  /** The last lines of the log, the oldest first. */
  readonly logTail: () => readonly string[];
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/**
 * Serves the state, and the end of the log at /log, at a unix socket until the signal aborts. Only the user of this process may connect: the socket has the
 * mode 0600. A socket that another process left behind is replaced; one at which a process answers is not. A socket that
 * cannot be made is logged, and the agent works without it.
 */
export async function serveStateSocket(
  path: string,
  source: StateSource,
  { logTail, logger, signal }: SocketOptions,
): Promise<FastifyInstance | undefined> {
  const server = fastify({ logger: false, forceCloseConnections: true });
  addStateRoutes(server, source);
  server.get<{ Querystring: Query }>("/log", async ({ query, headers }, reply) => {
    const lines = logTail();
    return send(
      reply,
      { json: { lines }, text: lines.map((line) => `${line}\n`).join("") },
      isForPeople(query, headers),
    );
  });
  try {
    if (await isAnswered(path)) throw new Error("another process answers there");
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await unlink(path).catch(() => undefined);
    const mask = process.umask(0o177);
    await server.listen({ path }).finally(() => process.umask(mask));
    await chmod(path, 0o600);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    logger.info({ path, reason }, "no state socket: explain and status cannot ask this agent");
    await server.close();
    return undefined;
  }
  if (signal.aborted) await server.close();
  return server;
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}
