import { expect, test } from 'vitest';
import { route } from './route.ts';

test('every value is one encoded segment, and the template names none', () => {
  expect(route`/repos/${'ac/me'}/${'a b'}/hooks/${7}`).toEqual({
    path: '/repos/ac%2Fme/a%20b/hooks/7',
    template: '/repos/{}/{}/hooks/{}',
  });
});

test.each(['', '.', '..'])('%j is refused', (value) => {
  expect(() => route`/repos/${value}`).toThrow('cannot be part of an address');
});

test('a route is continued as it is, its values not encoded twice', () => {
  const hooks = route`/repos/${'a b'}/hooks`;
  const below = route`/${'ä'}/tests`;
  expect(route`${hooks}/${9}/tests`).toEqual({
    path: '/repos/a%20b/hooks/9/tests',
    template: '/repos/{}/hooks/{}/tests',
  });
  expect(route`${hooks}${below}`).toEqual({
    path: '/repos/a%20b/hooks/%C3%A4/tests',
    template: '/repos/{}/hooks/{}/tests',
  });
});
