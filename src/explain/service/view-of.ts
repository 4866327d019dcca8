import type { DesiredStateBuilder } from "../../desired/desired-state-builder.ts";
import type { Problem } from "../../model/cluster/problem.ts";
import type { ServiceName } from "../../model/cluster/service.ts";
import type { ServiceView } from "./service-view.ts";

/** What an explanation needs apart from the desired state. */
export interface KnownElsewhere extends Pick<ServiceView, "failures" | "clients"> {
  /** The problems that the source of all objects reports. */
  readonly sourceProblems: Iterable<Problem>;
  readonly agent?: ServiceView["agent"];
}

/** Returns the view of one Service of the desired state. */
export function viewOf(state: DesiredStateBuilder, name: ServiceName, elsewhere: KnownElsewhere): ServiceView {
  const { table, desired, facts } = state;
  const { sourceProblems, failures, clients, agent } = elsewhere;
  return {
    name,
    service: state.served(name),
    endpoints: table.endpoints(name),
    facts,
    desired: (key) => desired.server(key),
    owner: (key) => desired.owner(key),
    entries: desired.entriesOf(name),
    problems: [...[...sourceProblems].filter((problem) => isAbout(problem, name)), ...state.problems.of(name)],
    failures,
    clients,
    endpointsChangedAtUnixMs: table.endpointsChangedAtUnixMs(name),
    ...(agent !== undefined && { agent }),
  };
}

/** Whether the problem is of the Service, or of an EndpointSlice that is named after it, as controllers name them. */
function isAbout({ object }: Problem, name: ServiceName): boolean {
  const path = `${object.namespace}/${object.name}`;
  return object.kind === "Service" ? path === name : object.kind === "EndpointSlice" && path.startsWith(`${name}-`);
}
