import type { ChalkInstance } from 'chalk';

/** Colours for people; without a terminal, with `NO_COLOR` or `--no-color` each leaves its text as it is. */
export interface Styles {
  readonly strong: (text: string) => string;
  readonly faint: (text: string) => string;
  readonly good: (text: string) => string;
  readonly bad: (text: string) => string;
  readonly doubtful: (text: string) => string;
}

const asIs = (text: string): string => text;

export const plainStyles: Styles = { strong: asIs, faint: asIs, good: asIs, bad: asIs, doubtful: asIs };

/** Whether a stream shall get colours (no-color.org). */
export function wantsColour(
  stream: { readonly isTTY?: boolean },
  env: Readonly<Record<string, string | undefined>>,
  isForbidden: boolean,
): boolean {
  return stream.isTTY === true && !isForbidden && !env['NO_COLOR'] && env['TERM'] !== 'dumb';
}

/** Loads the colours only where they are shown. */
export async function loadStyles(isColoured: boolean): Promise<Styles> {
  if (!isColoured) return plainStyles;
  const { Chalk } = await import('chalk');
  const chalk: ChalkInstance = new Chalk({ level: 1 });
  return {
    strong: (text) => chalk.bold(text),
    faint: (text) => chalk.dim(text),
    good: (text) => chalk.green(text),
    bad: (text) => chalk.red(text),
    doubtful: (text) => chalk.yellow(text),
  };
}
