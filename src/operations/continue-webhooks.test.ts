import { expect, test } from 'vitest';
import { sayHowToContinue, type RequestWords } from './continue-webhooks.ts';

const request: RequestWords = {
  linkName: 'gitea',
  mode: 'rotate',
  target: { url: null, events: null, at: null, allowHttp: false },
  namespaces: [],
  repositories: [],
  onSecret: null,
  verify: false,
  concurrency: null,
};

const line = 'gitlink regenerate-webhooks';

test.each<[Partial<RequestWords>, string]>([
  [{}, `To continue with the same secret: ${line} gitea`],
  [{ mode: 'repair' }, `To continue: ${line} gitea --repair`],
  [
    { mode: 'remove', namespaces: ['acme'], repositories: ['ada/a b'] },
    `To continue: ${line} gitea --remove --namespace acme --repo 'ada/a b'`,
  ],
  [
    { target: { url: 'http://ci.acme.dev/x?y', events: ['push', 'tag'], at: 'namespace', allowHttp: true } },
    `To continue with the same secret: ${line} gitea --url 'http://ci.acme.dev/x?y' --events push,tag --at namespace --allow-http`,
  ],
  [
    { onSecret: "it's", verify: true, concurrency: 3 },
    `To continue with the same secret: ${line} gitea --on-secret 'it'\\''s' --verify --concurrency 3`,
  ],
  // Nothing of it is kept.
  [{ linkName: 'env' }, `To continue with the same secret: ${line} env --secret-env VARIABLE`],
])('%j', (words, expected) => {
  expect(sayHowToContinue({ ...request, ...words })).toBe(expected);
});
