import { createHash } from "node:crypto";
import type { Logger } from "../../model/logger.ts";
import type { Clock } from "../../model/time/clock.ts";
import { TokenBucket } from "../../model/time/token-bucket.ts";
import { type HttpResponse, PLAIN } from "../http-server.ts";
import { ReviewCache } from "./review-cache.ts";
import {
  isAllowed,
  REVIEW_PATHS,
  type ReviewedUser,
  reviewedUser,
  subjectAccessReview,
  tokenReview,
} from "./reviews.ts";

/** How long the result for a token is valid, as in controller-runtime. */
const TOKEN_MS = 60_000;
/** How long a permission is valid, and how long a refusal, as in controller-runtime. */
const ALLOWED_MS = 300_000;
const REFUSED_MS = 30_000;
/** Reviews at once, and the time after which another is allowed: a client with many tokens must not load the API server. */
const BURST = 20;
const REFILL_MS = 200;

export interface AccessDependencies {
  readonly clock: Pick<Clock, "now">;
  readonly logger: Logger;
  /** Creates an object at the API server and returns the object of the response. Rejects without a response in time. */
  readonly create: (path: string, object: object) => Promise<unknown>;
}

/** The part of a request that decides on the access. */
export interface AccessRequest {
  /** The header; "" without one. */
  readonly authorization: string;
  readonly method: string;
  /** Without the query. */
  readonly path: string;
}

/**
 * Decides who may read from a server, as controller-runtime does for its metrics: the API server reviews the bearer token
 * (TokenReview) and the permission of its user for this path (SubjectAccessReview). Results are kept for a limited time. If
 * the API server gives no result, the request is refused.
 */
export class AccessControl {
  readonly #dependencies: AccessDependencies;
  readonly #users: ReviewCache<ReviewedUser | undefined>;
  readonly #permissions: ReviewCache<boolean>;
  readonly #rate = new TokenBucket(BURST, REFILL_MS);
  #reported = "";

  constructor(dependencies: AccessDependencies) {
    this.#dependencies = dependencies;
    const now = () => dependencies.clock.now();
    this.#users = new ReviewCache(now);
    this.#permissions = new ReviewCache(now);
  }

  /** Returns the response to a request that is refused; undefined if the request is allowed. Never rejects. */
  async refusal({ authorization, method, path }: AccessRequest): Promise<HttpResponse | undefined> {
    const [, token = ""] = /^Bearer +(\S+) *$/i.exec(authorization) ?? [];
    if (token === "") return UNAUTHORIZED;
    try {
      const user = await this.#users.get(hashOf(token), async () => {
        const review = await this.#review(REVIEW_PATHS.token, tokenReview(token));
        return { result: reviewedUser(review), keepMs: TOKEN_MS };
      });
      if (user === undefined) return UNAUTHORIZED;
      const subject = subjectAccessReview(user, method.toLowerCase(), path);
      const allowed = await this.#permissions.get(hashOf(JSON.stringify(subject)), async () => {
        const result = isAllowed(await this.#review(REVIEW_PATHS.subject, subject));
        return { result, keepMs: result ? ALLOWED_MS : REFUSED_MS };
      });
      this.#reported = "";
      return allowed ? undefined : refused(403, `Authorization denied for user ${user.username}\n`);
    } catch (error) {
      if (error instanceof TooManyReviews) return { ...refused(429, "Too many requests\n"), headers: RETRY_LATER };
      this.#report(error);
      return refused(500, "Authentication failed\n");
    }
  }

  async #review(path: string, object: object): Promise<unknown> {
    const nowMs = this.#dependencies.clock.now();
    if (this.#rate.readyAtMs(nowMs) > nowMs) throw new TooManyReviews();
    this.#rate.take(nowMs);
    return await this.#dependencies.create(path, object);
  }

  /** Logs a reason once until a review succeeds. */
  #report(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    if (reason !== this.#reported)
      this.#dependencies.logger.warn(
        { reason },
        "requests to the metrics server are refused: the API server cannot review them",
      );
    this.#reported = reason;
  }
}

class TooManyReviews extends Error {}

function refused(status: number, body: string): HttpResponse {
  return { status, headers: PLAIN, body };
}

const UNAUTHORIZED: HttpResponse = {
  ...refused(401, "Unauthorized\n"),
  headers: { ...PLAIN, "www-authenticate": "Bearer" },
};
const RETRY_LATER = { ...PLAIN, "retry-after": "1" };

/** A key that does not show the token in a dump of the memory, and has a fixed length. */
function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("base64");
}
