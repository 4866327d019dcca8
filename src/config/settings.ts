import type { Config } from "./config.ts";
import { DIAGNOSIS_SETTINGS } from "./settings/diagnosis-settings.ts";
import { IPVS_SETTINGS } from "./settings/ipvs-settings.ts";
import { KERNEL_SETTINGS } from "./settings/kernel-settings.ts";
import { PROCESS_SETTINGS } from "./settings/process-settings.ts";
import type { Settings } from "./settings/setting.ts";
import { SOURCE_SETTINGS } from "./settings/source-settings.ts";
import { TRAFFIC_SETTINGS } from "./settings/traffic-settings.ts";

/**
 * The settings, in the order of the help text. Those that kube-proxy has keep its flags, paths and defaults, except the
 * default of ipvs-min-sync-period. In kube-proxy each sync processes every Service, and the period keeps syncs rare (1s by
 * flag, 0s by file). Here the cost of a sync depends on the number of changes, and the changes during a sync are batched for
 * the next sync in any case, so that a period would only add delay.
 */
export const SETTINGS: Settings<keyof Config> = {
  ...SOURCE_SETTINGS,
  ...TRAFFIC_SETTINGS,
  ...IPVS_SETTINGS,
  ...KERNEL_SETTINGS,
  ...PROCESS_SETTINGS,
  ...DIAGNOSIS_SETTINGS,
};

export type SettingKey = keyof Config;

/** The fields of Config, in the order of the help text. */
// The type of SETTINGS demands exactly the keys of Config.
export const SETTING_KEYS = Object.keys(SETTINGS) as SettingKey[];
