/** A duration for people: minutes, or seconds where it is shorter. */
export function describeDuration(durationMs: number): string {
  const minutes = durationMs / 60_000;
  return minutes >= 1 ? `${Math.round(minutes)} min` : `${Math.round(durationMs / 1000)} s`;
}
