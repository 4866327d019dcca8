export const EXIT_OK = 0;
export const EXIT_FAILURE = 1;
export const EXIT_DIFFERENT = 2;
