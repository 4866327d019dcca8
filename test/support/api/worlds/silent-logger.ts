import type { Logger } from "../../../../src/model/logger.ts";

/** Says nothing. */
export const SILENT_LOGGER: Logger = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {} };
