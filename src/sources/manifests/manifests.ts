import { resolve } from "node:path";
import { byText, manifestPart, type Problem } from "../../model/cluster/problem.ts";
import type { Logger } from "../../model/logger.ts";
import { changesBetween } from "../../model/problem-tracker.ts";
import { TextTable } from "../../model/text-table.ts";
import type { ClusterEvent, Resource } from "../../services/cluster-event.ts";
import type { ClusterState, Source, SourceListener } from "../source.ts";
import { FolderWatch, folderOf, type Waits } from "./folder-watch.ts";
import { parseDocuments } from "./manifest-documents.ts";
import { errorCode, type FileRead, readFiles } from "./manifest-files.ts";
import { decodeFile, type ManifestFile } from "./manifest-objects.ts";
import { type ManifestChange, ManifestSet } from "./manifest-set.ts";

/** Receives the events and problems of manifests. */
export interface ManifestListener extends Pick<SourceListener, "onEvent" | "onProblems"> {
  readonly logger: Pick<Logger, "debug">;
}

const DEFAULT_WAITS: Waits = { settleMs: 200, pollMs: 10_000 };

/** The source of Services in a manifest file or a folder of manifests. There is no API server, so Events are dropped. */
export class ManifestSource implements Source {
  readonly #path: string;
  readonly #logger: Pick<Logger, "debug">;

  constructor(path: string, { logger }: { readonly logger: Pick<Logger, "debug"> }) {
    this.#path = path;
    this.#logger = logger;
  }

  async run(listener: SourceListener): Promise<void> {
    await watchManifests(this.#path, { ...listener, logger: this.#logger });
  }

  async read(): Promise<ClusterState> {
    return await readManifests(this.#path);
  }

  servers(): readonly [] {
    return [];
  }

  missing(): string {
    return `manifests at "${this.#path}"`;
  }

  stats(): readonly [] {
    return [];
  }

  async create(path: string): Promise<never> {
    throw new Error(`Cannot create an object at "${path}": manifests have no API server`);
  }

  record(): void {}
}

/**
 * Emits the Services, EndpointSlices, Nodes and ServiceCIDRs of manifests as events. A failed read never deletes objects:
 * if the path cannot be read, all objects stay; if a file cannot be read, its objects stay; and `listed` waits until all
 * files were read. A readable empty folder deletes all objects. Call `reread` again only after the last call ended.
 */
export class ManifestReader {
  readonly #path: string;
  readonly #listener: ManifestListener;
  #texts = new TextTable();
  readonly #set = new ManifestSet();
  #files: readonly ManifestFile[] | undefined;
  #listed = false;
  #problems: readonly Problem[] = [];
  /** The problems in the last report, by their texts. */
  #reported: ReadonlyMap<string, Problem> = new Map();

  constructor(path: string, listener: ManifestListener) {
    this.#path = resolve(path);
    this.#listener = listener;
  }

  /** Reads all files and emits the changes. Rejects only if the listener throws. */
  async reread(): Promise<void> {
    let reads: readonly FileRead[];
    try {
      reads = await readFiles(this.#path);
    } catch (error) {
      this.#reportProblems([pathProblem(this.#path, error), ...this.#problems]);
      return;
    }
    const files = await this.#parseAll(reads);
    if (!isUnchanged(files, this.#files)) {
      this.#files = files;
      const change = this.#set.replace(files);
      this.#problems = change.problems;
      const isFirstList = !this.#listed && reads.every((read) => read.kind === "read");
      this.#listed ||= isFirstList;
      for (const event of inOrder(change, isFirstList)) this.#listener.onEvent(event);
    }
    this.#reportProblems(this.#problems);
  }

  async #parseAll(reads: readonly FileRead[]): Promise<readonly ManifestFile[]> {
    const known = new Map(this.#files?.map((file) => [file.file, file]));
    const files: ManifestFile[] = [];
    for (const read of reads) {
      const before = known.get(read.file);
      files.push(before?.version === read.version ? before : await this.#parse(read));
    }
    return files;
  }

  async #parse(read: FileRead): Promise<ManifestFile> {
    this.#texts = this.#texts.orNext();
    const file = await parseFile(read, this.#texts);
    const facts = { file: file.file, objects: file.entries.length, ignoredKinds: [...file.ignoredKinds] };
    this.#listener.logger.debug(facts, "manifest read");
    return file;
  }

  #reportProblems(all: readonly Problem[]): void {
    const now = byText(all);
    const { begun, ended } = changesBetween(this.#reported, now);
    this.#reported = now;
    if (begun.length + ended.length > 0) this.#listener.onProblems(all.length, begun, () => all);
  }
}

/**
 * Reads the manifests at `path`, a file or a folder, and reads them again after each change until the signal aborts. It
 * also polls, because network file systems report no changes. Rejects only if the listener throws.
 */
export async function watchManifests(
  path: string,
  options: ManifestListener & Pick<SourceListener, "signal"> & Partial<Waits>,
): Promise<void> {
  const { signal, settleMs = DEFAULT_WAITS.settleMs, pollMs = DEFAULT_WAITS.pollMs } = options;
  const source = new ManifestReader(path, options);
  while (!signal.aborted) {
    const folderWatch = new FolderWatch(await folderOf(path), { settleMs, pollMs }, signal);
    try {
      await source.reread();
      await folderWatch.settled;
    } finally {
      folderWatch.close();
    }
  }
}

/** Reads the manifests once. Throws if the path cannot be read. Problems of files and objects are problems. */
export async function readManifests(path: string): Promise<ClusterState> {
  const reads = await readFiles(path).catch((error: unknown) => {
    throw new Error(`Cannot read manifests at "${path}": ${errorCode(error)}`, { cause: error });
  });
  const texts = new TextTable();
  const change = new ManifestSet().replace(await Promise.all(reads.map((read) => parseFile(read, texts))));
  return { events: inOrder(change, true), problems: change.problems };
}

async function parseFile(read: FileRead, texts: TextTable): Promise<ManifestFile> {
  if (read.kind === "unreadable") return withoutObjects(read, read.reason);
  try {
    return decodeFile(read.file, read.version, await parseDocuments(read.file, read.text), texts);
  } catch (error) {
    // An exception of a parser affects this file only. Otherwise it would end the agent again after each restart.
    return withoutObjects(read, `cannot be parsed: ${errorCode(error)}`);
  }
}

function withoutObjects({ file, version }: FileRead, reason: string): ManifestFile {
  const problem = { object: manifestPart(`file ${file}`), field: "", value: "", reason };
  return { file, version, entries: [], problems: [problem], ignoredKinds: new Set(), complete: false };
}

/** All events of a change. EndpointSlices come before Services, so that each Service is complete when it arrives. */
function inOrder({ events }: ManifestChange, isFirstList: boolean): readonly ClusterEvent[] {
  const listed = (resource: Resource): readonly ClusterEvent[] => (isFirstList ? [{ kind: "listed", resource }] : []);
  return [
    ...events.Node,
    ...listed("nodes"),
    ...events.ServiceCIDR,
    ...listed("servicecidrs"),
    ...events.EndpointSlice,
    ...listed("endpointslices"),
    ...events.Service,
    ...listed("services"),
  ];
}

function pathProblem(path: string, error: unknown): Problem {
  const reason = `cannot be read: ${errorCode(error)}; the last known objects stay in use`;
  return { object: manifestPart("manifests"), field: "", value: path, reason };
}

function isUnchanged(files: readonly ManifestFile[], before: readonly ManifestFile[] | undefined): boolean {
  return files.length === before?.length && files.every((file, index) => file === before[index]);
}
