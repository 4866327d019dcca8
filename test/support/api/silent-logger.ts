import type { Logger } from "../../../src/process/log.ts";

/** Says nothing. */
export const SILENT_LOGGER: Logger = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {} };
