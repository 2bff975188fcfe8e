import { expect, test } from 'vitest';
import { faultHostNames, isWithinBars, runFaults } from '../tools/campaign-webhooks.ts';

/** `npm run campaign webhooks` does the same with thousands of repositories. */
test.concurrent.each(faultHostNames)(
  'F8, F9, F12: a rotation at a %s in trouble, killed on the way, ends with one known secret everywhere',
  async (host) => {
    const figures = await runFaults({ host, store: 'file', repositories: 50, kills: 3, seed: 1 });
    expect(figures).toMatchObject({
      unknownSecrets: 0,
      hooksWithoutSecret: 0,
      repositoriesWithoutHook: 0,
      duplicates: 0,
      beyondLimit: 0,
      duringPause: 0,
      renewals: host === 'gitlab' ? 1 : 0,
    });
    expect(isWithinBars(host, figures)).toBe(true);
    // The faults were there.
    expect(figures.kills).toBeGreaterThan(0);
    expect(figures.failed).toBeGreaterThan(0);
    expect(figures.lost).toBeGreaterThan(0);
  },
  90_000,
);
