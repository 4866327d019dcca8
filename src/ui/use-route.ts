import { useEffect, useState } from "preact/hooks";
import type { PageView } from "../explain/page/page-messages.ts";
import { hashOf, viewOf } from "./route.ts";

/** The view in the URL, and a function that changes it, without a new entry in the history of the browser. */
export function useRoute(): readonly [PageView, (change: Partial<PageView>) => void] {
  const [view, setView] = useState(() => viewOf(location.hash));
  useEffect(() => {
    const read = () => setView(viewOf(location.hash));
    addEventListener("hashchange", read);
    return () => removeEventListener("hashchange", read);
  }, []);
  const change = (part: Partial<PageView>) => {
    const next = { ...view, ...part };
    history.replaceState(undefined, "", hashOf(next));
    setView(next);
  };
  return [view, change];
}
