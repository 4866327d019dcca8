import { useEffect, useRef } from "preact/hooks";
import { type PageView, ROWS, type ServicePage, type ServiceRow } from "../explain/page/page-messages.ts";
import { count } from "./format.ts";
import { hashOf } from "./route.ts";

interface ServiceListProperties {
  /** The last page that came; it may be of another view. */
  readonly page: ServicePage | undefined;
  readonly view: PageView;
  readonly onChange: (change: Partial<PageView>) => void;
}

/** The Services that match, a page at a time, with the search for them. */
export function ServiceList({ page, view, onChange }: ServiceListProperties) {
  const search = useRef<HTMLInputElement>(null);
  const list = useRef<HTMLTableSectionElement>(null);
  useListKeys(search, list);
  return (
    <section class="panel services" aria-labelledby="services">
      <h2 id="services">Services</h2>
      <search class="tools">
        <input
          ref={search}
          type="search"
          aria-label="Search Services by name, address or port"
          placeholder="Name, address or port"
          autocomplete="off"
          spellcheck={false}
          value={view.search}
          onInput={({ currentTarget }) => onChange({ search: currentTarget.value, offset: 0 })}
        />
        <label class="toggle">
          <input
            type="checkbox"
            checked={view.onlyProblems}
            onChange={({ currentTarget }) => onChange({ onlyProblems: currentTarget.checked, offset: 0 })}
          />
          only with problems
        </label>
      </search>
      <table>
        <thead>
          <tr>
            <th scope="col">Service</th>
            <th scope="col">State</th>
            <th scope="col" class="number">
              Endpoints
            </th>
            <th scope="col" class="number">
              Connections
            </th>
          </tr>
        </thead>
        <tbody ref={list}>
          {page?.rows.map((row) => (
            <Row key={row.service} row={row} href={hashOf({ ...view, service: row.service })} />
          ))}
        </tbody>
      </table>
      {page?.total === 0 && <p class="waiting">No Service matches</p>}
      <Pages page={page} onChange={onChange} />
    </section>
  );
}

const STATES: Readonly<Record<ServiceRow["severity"], string>> = {
  ok: "ok",
  info: "note",
  warning: "warning",
  error: "error",
};

function Row({ row, href }: { readonly row: ServiceRow; readonly href: string }) {
  const { service, frontends, moreFrontends, endpoints, usedEndpoints, connections, severity, cause } = row;
  const [namespace, name] = service.split("/");
  return (
    <tr>
      <th scope="row">
        <a href={href} class="open">
          <span class="namespace">{namespace}/</span>
          {name}
        </a>
        <span class="frontends">
          {frontends.join(", ")}
          {moreFrontends > 0 && `, ${count(moreFrontends)} more`}
        </span>
        {cause !== "" && <span class={`cause ${severity}`}>{cause}</span>}
      </th>
      <td>
        <span class={`badge ${severity}`}>{STATES[severity]}</span>
      </td>
      <td class="number" title={`${usedEndpoints} of ${endpoints} endpoints get connections from this node`}>
        {count(usedEndpoints)}
        <span class="of">/{count(endpoints)}</span>
      </td>
      <td class="number">{connections === undefined ? "–" : count(connections)}</td>
    </tr>
  );
}

function Pages({ page, onChange }: Pick<ServiceListProperties, "page" | "onChange">) {
  if (page === undefined || page.total === 0) return null;
  const { total, rows, view } = page;
  const { offset } = view;
  return (
    <nav class="pages" aria-label="Pages of Services">
      <button type="button" disabled={offset === 0} onClick={() => onChange({ offset: Math.max(0, offset - ROWS) })}>
        Previous
      </button>
      <span role="status">
        {rows.length === 0 ? "none here" : `${count(offset + 1)} to ${count(offset + rows.length)}`} of {count(total)}
      </span>
      <button
        type="button"
        disabled={offset + rows.length >= total}
        onClick={() => onChange({ offset: offset + ROWS })}
      >
        Next
      </button>
    </nav>
  );
}

interface Place<Element> {
  readonly current: Element | null;
}

const STEPS: Readonly<Record<string, number>> = { ArrowDown: 1, ArrowUp: -1 };

/** "/" goes to the search, the arrow keys from it to the Services and between them. */
function useListKeys(search: Place<HTMLInputElement>, list: Place<HTMLElement>): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const { key, target, ctrlKey, metaKey, altKey } = event;
      if (ctrlKey || metaKey || altKey) return;
      const isTyping = target instanceof HTMLInputElement;
      const next = key === "/" && !isTyping ? search.current : beside(STEPS[key] ?? 0, search.current, list.current);
      if (next == null) return;
      next.focus();
      event.preventDefault();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
}

/** The Service so many steps from the focused one; before the first is the search. */
function beside(step: number, search: HTMLElement | null, list: HTMLElement | null): HTMLElement | null | undefined {
  const stops = [search, ...(list?.querySelectorAll<HTMLElement>("a.open") ?? [])];
  const at = stops.findIndex((stop) => stop !== null && stop === document.activeElement);
  return step === 0 || at < 0 ? undefined : stops[at + step];
}
