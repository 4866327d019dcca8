export const EXIT_OK = 0;
export const EXIT_FAILURE = 1;
export const EXIT_DIFFERENT = 2;
/** The configuration file has changed in a setting that needs a new start. */
export const EXIT_RESTART = 3;
