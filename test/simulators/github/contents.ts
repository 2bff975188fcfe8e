import type { GithubSimulator } from './server.ts';
import type { NewToken } from './token-state.ts';

/** Fills a simulator with what there is to try by hand, and says it. */
export function describeContents({ oauth, ...simulator }: GithubSimulator): string {
  const add = (token: NewToken) => simulator.addToken(token).secret;
  const inAWeek = new Date(Date.now() + 7 * 86_400_000);
  const tokens = [
    ['everything gitlink may want', add({ scopes: ['repo', 'read:org', 'admin:org_hook'] })],
    ['webhooks of public repositories alone', add({ scopes: ['admin:repo_hook', 'read:org'] })],
    ['ends in a week', add({ expiresAt: inAWeek })],
    ['fine-grained, all of acme', add({ kind: 'fineGrained', resourceOwner: 'acme' })],
    [
      'fine-grained, acme/api alone, and no webhooks',
      add({
        kind: 'fineGrained',
        resourceOwner: 'acme',
        repositories: ['acme/api'],
        permissions: { contents: 'read' },
      }),
    ],
    ['from before 2021', add({ kind: 'legacy' })],
  ] as const;
  const tokenLines = tokens.map(([what, secret]) => `  ${secret}  ${what}`);
  const { clientId, clientSecret } = oauth.addApplication({ deviceFlow: true });
  return `Tokens of ada
${tokenLines.join('\n')}

To sign in as ada with the browser or a code
  --client-id ${clientId}, its secret ${clientSecret}

Apps are made and installed on the pages of the simulator, where you are ada: an owner of acme, a member of others.
`;
}
