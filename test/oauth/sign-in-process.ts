// A program that signs in by browser and ends by itself: what a signal, or nothing at all, leaves behind is seen.
import { CancelledError, GitlinkError } from '../../src/errors.ts';
import { signInByBrowser } from '../../src/oauth/authorization-code.ts';
import { openBrowser } from '../../src/oauth/open-browser.ts';
import { systemClock, systemRandom } from '../../src/runtime.ts';

const [issuer = '', authorizationEndpoint = '', tokenEndpoint = '', clientId = '', browser = ''] =
  process.argv.slice(2);
const controller = new AbortController();
process.on('SIGINT', () => controller.abort(new CancelledError()));
for (const name of ['SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => controller.abort(new CancelledError('Stopped.', { bySigterm: true })));
}

try {
  await signInByBrowser({
    client: {
      host: 'git.example',
      issuer,
      sendsIssuer: true,
      tokenEndpoint,
      clientId,
      clientSecret: null,
      clientAuthentication: 'none',
    },
    network: {
      fetch: globalThis.fetch,
      clock: systemClock,
      userAgent: 'gitlink-test',
      signal: controller.signal,
    },
    authorizationEndpoint,
    scope: 'api',
    redirect: { host: '127.0.0.1', path: '/callback', port: null },
    random: systemRandom,
    openBrowser: (url) =>
      openBrowser(url, {
        env: process.env,
        platform: process.platform,
        preferred: browser,
        findProgram: () => null,
        hosts: [],
      }),
    onWaiting: ({ redirectUri }) => process.stdout.write(`waiting at ${redirectUri}\n`),
    store: () => Promise.resolve(),
  });
  process.stdout.write('stored\n');
} catch (error) {
  process.exitCode = error instanceof GitlinkError ? error.exitCode : 1;
}
