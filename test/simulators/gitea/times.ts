/** A time without fractions of a second, as the servers write it. */
export function toTime(date: Date): string {
  return date.toISOString().replace(/\.\d+/, '');
}
