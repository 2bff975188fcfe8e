/** The last moment that a date can hold, in milliseconds since the epoch (ECMA-262, "Time Values and Time Range"). */
export const lastMoment = 8.64e15;
