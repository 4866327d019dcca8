import type { Logger } from "../../../src/log.ts";

/** Says nothing. */
export const SILENT_LOGGER: Logger = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {} };
