import { useEffect, useReducer } from "preact/hooks";
import type { PageView } from "../explain/page/page-messages.ts";
import { after, type Change, type Live, START } from "./live.ts";
import { parametersOf } from "./route.ts";

/** How long typing pauses before it is searched for. */
const TYPING_MS = 150;
const RETRY_MS = 10_000;

/** Follows the server-sent events for a view. Messages of an earlier view stay until the first of the next. */
export function useLive(view: PageView): Live {
  const [live, dispatch] = useReducer((before: Live, change: Change) => after(before, change, Date.now()), START);
  const parameters = view.service === "" ? parametersOf(view) : new URLSearchParams({ service: view.service });
  const query = parameters.toString();
  useEffect(() => {
    let close = () => {};
    const open = () => {
      close = follow(query, dispatch, () => {
        timer = setTimeout(open, RETRY_MS);
      });
    };
    let timer = setTimeout(open, live.overview === undefined ? 0 : TYPING_MS);
    return () => {
      clearTimeout(timer);
      close();
    };
  }, [query]);
  return live;
}

/** Opens the stream; returns the function that closes it. `onRefused` is called when the browser does not try again. */
function follow(query: string, dispatch: (change: Change) => void, onRefused: () => void): () => void {
  const source = new EventSource(`ui/events?${query}`);
  for (const name of ["overview", "history", "services", "service"] as const)
    source.addEventListener(name, (event: MessageEvent<string>) => dispatch({ [name]: JSON.parse(event.data) }));
  source.addEventListener("end", () => dispatch({ connection: "lost" }));
  source.addEventListener("error", () => {
    const isRefused = source.readyState === EventSource.CLOSED;
    dispatch({ connection: isRefused ? "refused" : "lost" });
    if (isRefused) onRefused();
  });
  return () => source.close();
}
