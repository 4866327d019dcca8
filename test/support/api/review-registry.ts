import { type Answer, answered, refusal } from "./answers.ts";
import type { Route } from "./routes.ts";

/** The user of a token, as authenticators of the API server name it. */
export interface TokenUser {
  readonly username: string;
  readonly groups: readonly string[];
}

/** The reviews of tokens and of permissions for paths that are no resources. */
export class ReviewRegistry {
  /** Bearer tokens of clients of other servers. */
  readonly tokens = new Map<string, TokenUser>();
  /** What users may do, as "USER get /path". */
  readonly permissions = new Set<string>();

  answer(route: Route, body: string): Answer {
    if (route.verb !== "create") return refusal(405, "MethodNotAllowed", "the server does not allow this method");
    const review = JSON.parse(body);
    return answered(201, { ...review, status: this.#statusOf(route.resource, review.spec) });
  }

  #statusOf(resource: string, spec: ReviewSpec): object {
    if (resource === "tokenreviews") {
      const user = this.tokens.get(spec.token ?? "");
      return user === undefined
        ? { user: {}, error: "[invalid bearer token, Token has been invalidated]" }
        : { authenticated: true, user, audiences: ["https://kubernetes.default.svc"] };
    }
    const { verb, path } = spec.nonResourceAttributes ?? {};
    const allowed = this.permissions.has(`${spec.user} ${verb} ${path}`);
    return allowed ? { allowed, reason: "RBAC: allowed" } : { allowed };
  }
}

interface ReviewSpec {
  readonly token?: string;
  readonly user?: string;
  readonly nonResourceAttributes?: { readonly verb: string; readonly path: string };
}
