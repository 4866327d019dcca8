import type { FastifyInstance, FastifyReply } from "fastify";
import type { Clock } from "../../model/time/clock.ts";
import { PLAIN } from "../http-server.ts";
import { EventStreams, type Messages } from "./event-streams.ts";
import type { PageFile } from "./page-files.ts";

/** What a browser asks for, as in `PageView`. */
export interface PageQuery {
  readonly search: string;
  readonly onlyProblems: boolean;
  readonly offset: number;
  readonly service: string;
}

/** Reads what the page shows. */
export interface PageSource {
  /** Returns the messages for one browser; `isFirst` is true for its first read. */
  read(query: PageQuery, isFirst: boolean): Promise<Messages>;
  /** No browser looks any more. */
  release(): void;
}

/**
 * The page loads scripts and styles only from files of this server, runs none that stands in the page, sends nothing to
 * another server, and is shown in no frame (CSP Level 3).
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join("; ");

const SECURITY = {
  "content-security-policy": POLICY,
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};

/** Names of other files have a hash of their contents. */
const FOREVER = "private, max-age=31536000, immutable";
const LONGEST_TEXT = 200;

export interface PageOptions {
  /** Reads the built files, by name, when the first browser asks for one. Rejects if the page was not built. */
  readonly files: () => Promise<ReadonlyMap<string, PageFile>>;
  readonly source: PageSource;
  readonly clock: Clock;
}

/** Adds the page /ui, its files /ui/NAME, and its server-sent events /ui/events to a server. They end when the server closes. */
export function addPageRoutes(server: FastifyInstance, { files, source, clock }: PageOptions): void {
  const streams = new EventStreams(clock, () => source.release());
  let read: Promise<ReadonlyMap<string, PageFile>> | undefined;
  const built = (name: string) => {
    read ??= files().catch(() => new Map());
    return read.then((all) => all.get(name));
  };
  server.addHook("preClose", async () => streams.close());
  server.get("/ui", async (_request, reply) => {
    const page = await built("index.html");
    if (page === undefined) return refuse(reply, 503, "The status page was not built: run npm run build\n");
    return reply.headers({ ...SECURITY, "content-type": page.type, "cache-control": "no-store" }).send(page.body);
  });
  // Relative, for a proxy may add a prefix to the path.
  server.get("/ui/", async (_request, reply) => reply.headers(SECURITY).redirect("../ui"));
  server.get<{ Params: { file: string } }>("/ui/:file", async ({ params }, reply) => {
    const file = await built(params.file);
    if (file === undefined) return refuse(reply, 404, "404 page not found\n");
    return reply.headers({ ...SECURITY, "content-type": file.type, "cache-control": FOREVER }).send(file.body);
  });
  server.get<{ Querystring: Partial<Record<string, unknown>> }>(
    "/ui/events",
    { exposeHeadRoute: false },
    async ({ query, headers }, reply) => {
      // A page of another site could not read the events, but use up the streams.
      if (headers["sec-fetch-site"] === "cross-site") return refuse(reply, 403, "Only the status page gets events\n");
      const asked = parsed(query);
      const stream = streams.open((isFirst) => source.read(asked, isFirst));
      if (stream === undefined) return refuse(reply, 503, "Too many browsers show the status page\n");
      // A client that goes ends the stream also while it waits.
      reply.raw.once("close", () => stream.destroy());
      return reply
        .headers({ ...SECURITY, "content-type": "text/event-stream", "cache-control": "no-store" })
        .send(stream);
    },
  );
}

function refuse(reply: FastifyReply, status: number, body: string): FastifyReply {
  return reply
    .code(status)
    .headers({ ...SECURITY, ...PLAIN, "cache-control": "no-store" })
    .send(body);
}

/** Fastify parses the query to texts and lists of texts. */
function parsed(query: Partial<Record<string, unknown>>): PageQuery {
  const text = (name: string) => String(query[name] ?? "").slice(0, LONGEST_TEXT);
  const offset = Number.parseInt(text("offset"), 10);
  return {
    search: text("search"),
    onlyProblems: text("problems") === "true",
    offset: Number.isSafeInteger(offset) && offset > 0 ? offset : 0,
    service: text("service"),
  };
}
