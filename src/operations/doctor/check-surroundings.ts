import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { GitlinkError, assertTellable } from '../../errors.ts';
import { findExecutable } from '../../git/find-executable.ts';
import { toDisplayHost } from '../../http/base-url.ts';
import type { HostClient } from '../../http/host-client.ts';
import { chooseProxy, ProxyError } from '../../http/proxy-choice.ts';
import { findBrowserObstacle } from '../../oauth/open-browser.ts';
import { getProvider } from '../../providers/registry.ts';
import type { LinkRecord } from '../../store/link-schema.ts';
import { withDeadline } from '../deadline.ts';
import { openAnonymous } from '../open-anonymous.ts';
import { quoteWord } from '../quote-word.ts';
import { sound, toDetail, type Check, type Doctor } from './check.ts';

const hostDeadlineMs = 5_000;
/** Above this, tokens are refreshed too late and a host may refuse what is signed with a time. */
const skewLimitMs = 5 * 60 * 1000;

/** Whether a page can be shown to the person. */
export async function checkBrowser({ context }: Doctor): Promise<readonly Check[]> {
  const name = 'browser';
  const { env, platform } = context;
  const setting = await readBrowserSetting(context);
  const preferred = setting ?? (env['BROWSER'] || null);
  const isThere = (program: string): boolean =>
    program.startsWith('/') || findExecutable(program, context) !== null;
  if (preferred !== null && platform === 'linux' && !preferred.split(':').some(isThere)) {
    const fix = setting === null ? 'unset BROWSER' : 'gitlink config unset browser';
    return [{ name, state: 'warning', detail: `the browser that is set (${preferred}) is not on PATH`, fix }];
  }
  const obstacle = findBrowserObstacle(env, platform, preferred);
  if (obstacle !== null)
    return [sound(name, `none can be opened ${obstacles[obstacle]}; --no-browser shows the address`)];
  const isMissing =
    platform === 'linux' && preferred === null && !env['WSL_DISTRO_NAME'] && !isThere('xdg-open');
  if (!isMissing) return [sound(name, preferred ?? "the system's")];
  const fix = 'sudo apt install xdg-utils';
  return [{ name, state: 'warning', detail: 'there is no program that opens a browser (xdg-open)', fix }];
}

const obstacles = { ci: 'in CI', ssh: 'over SSH', noDisplay: 'without a display' } as const;

/** Damaged preferences are another check's finding. */
async function readBrowserSetting(context: Doctor['context']): Promise<string | null> {
  try {
    return (await context.openSettings()).get('browser');
  } catch (error) {
    if (error instanceof GitlinkError) return null;
    throw error;
  }
}

/** Whether the variables of proxies can be understood, and what a list of exceptions does not do. */
export function checkProxy({ context, records }: Doctor): Promise<readonly Check[]> {
  const name = 'proxy';
  const { env } = context;
  const hosts = [...new Set((records?.links ?? []).map(({ host }) => host))];
  const checks: Check[] = [];
  const ways: string[] = [];
  for (const address of ['https://gitlink.invalid', 'http://gitlink.invalid', ...hosts]) {
    try {
      const proxy = chooseProxy(new URL(address), env);
      if (proxy && hosts.includes(address)) ways.push(`${toDisplayHost(address)} through ${proxy.name}`);
    } catch (error) {
      if (!(error instanceof ProxyError)) throw error;
      const fix = `unset ${error.variable}`;
      if (checks.some((check) => check.fix === fix)) continue;
      checks.push({ name, state: 'error', detail: toDetail(error), fix });
    }
  }
  const variable = env['no_proxy'] ? 'no_proxy' : 'NO_PROXY';
  const entries = (env[variable] ?? '').split(/[\s,]+/).filter((entry) => entry !== '');
  const ranges = entries.filter((entry) => /\/\d+$/.test(entry));
  if (ranges.length > 0) {
    const kept = entries.filter((entry) => !ranges.includes(entry)).join(',');
    const detail = `network ranges in ${variable} match nothing (${ranges.join(', ')}): name the hosts`;
    checks.push({ name, state: 'warning', detail, fix: `export ${variable}=${quoteWord(kept)}` });
  }
  return Promise.resolve(
    checks.length > 0 ? checks : [sound(name, ways.join(', ') || 'hosts are asked directly')],
  );
}

/** Whether certificates are checked, and against what. */
export async function checkAuthorities({ context, records }: Doctor): Promise<readonly Check[]> {
  const name = 'certificates';
  const { env } = context;
  const checks: Check[] = [];
  if (env['NODE_TLS_REJECT_UNAUTHORIZED'] === '0') {
    const detail =
      'NODE_TLS_REJECT_UNAUTHORIZED=0 switches the check of certificates off, so gitlink asks nobody';
    checks.push({ name, state: 'error', detail, fix: 'unset NODE_TLS_REJECT_UNAUTHORIZED' });
  }
  const extra = env['NODE_EXTRA_CA_CERTS'];
  if (extra && !(await holdsCertificate(extra))) {
    const detail = `NODE_EXTRA_CA_CERTS names ${extra}, which is no file with PEM certificates`;
    checks.push({ name, state: 'warning', detail, fix: 'unset NODE_EXTRA_CA_CERTS' });
  }
  const files = groupByCaFile(records?.links ?? []);
  for (const [file, links] of files) {
    if (file === null || (await holdsCertificate(file))) continue;
    const names = links.map(({ name: link }) => link);
    const detail = `the CA file ${file} of ${names.join(', ')} is missing or holds no PEM certificate`;
    const fix = `gitlink relink ${names[0] ?? ''} --ca-file FILE`;
    checks.push({ name, state: 'error', detail, fix });
  }
  return checks.length > 0 ? checks : [sound(name, 'every host must prove who it is')];
}

function groupByCaFile(links: readonly LinkRecord[]): Map<string | null, LinkRecord[]> {
  const groups = new Map<string | null, LinkRecord[]>();
  for (const link of links) groups.set(link.caFile, [...(groups.get(link.caFile) ?? []), link]);
  return groups;
}

async function holdsCertificate(path: string): Promise<boolean> {
  try {
    return new X509Certificate(await readFile(path)).raw.length > 0;
  } catch {
    return false;
  }
}

/** Asks every linked host what it is, all at once: whether it answers, and what time it is there. */
export async function checkHosts({ context, records }: Doctor): Promise<readonly Check[]> {
  const links = [...new Map((records?.links ?? []).map((link) => [link.host, link])).values()];
  if (links.length === 0) return [sound('hosts', 'none is linked')];
  context.reporter.status('Asking the hosts…');
  const answers = await Promise.all(links.map((link) => askHost(context, link)));
  const silent = answers.flatMap(({ link, fault }): Check[] => {
    if (fault === null) return [];
    const detail = `${toDisplayHost(link.host)} does not answer: ${fault}`;
    return [{ name: 'hosts', state: 'warning', detail, fix: `curl --head ${quoteWord(link.host)}` }];
  });
  const hosts =
    silent.length > 0
      ? silent
      : [sound('hosts', `${links.map(({ host }) => toDisplayHost(host)).join(', ')}: there`)];
  return [...hosts, judgeClock(answers)];
}

interface HostAnswer {
  readonly link: LinkRecord;
  readonly fault: string | null;
  /** How far this machine's clock is ahead of the host's, in milliseconds; null where it did not tell. */
  readonly skewMs: number | null;
}

async function askHost(context: Doctor['context'], link: LinkRecord): Promise<HostAnswer> {
  const provider = getProvider(link.provider);
  if (!provider) return { link, fault: null, skewMs: null };
  let skewMs: number | null = null;
  try {
    const description = await withDeadline(context, hostDeadlineMs, async (signal) => {
      const anonymous = await openAnonymous(context, provider, link.host, link.caFile, { signal });
      const watched: HostClient = {
        base: anonymous.base,
        async request(request) {
          const response = await anonymous.request(request);
          const date = Date.parse(response.headers.get('date') ?? '');
          if (!Number.isNaN(date)) skewMs = context.clock.now() - date;
          return response;
        },
      };
      return provider.recognise(link.host, watched, link.organization);
    });
    return { link, fault: description === null ? `it is no ${provider.displayName} any more` : null, skewMs };
  } catch (error) {
    assertTellable(error);
    // Settings that make every request fail are other checks' findings.
    const isOwnFault = error.code === 'usage';
    return { link, fault: isOwnFault ? null : toDetail(error), skewMs };
  }
}

function judgeClock(answers: readonly HostAnswer[]): Check {
  const name = 'clock';
  const told = answers.flatMap(({ link, skewMs }) => (skewMs === null ? [] : [{ link, skewMs }]));
  const [first] = told;
  if (!first) return sound(name, 'not compared: no host told its time');
  // Several hosts cannot all be wrong in the same way, and one alone may be.
  const least = told.reduce(
    (best, each) => (Math.abs(each.skewMs) < Math.abs(best.skewMs) ? each : best),
    first,
  );
  if (Math.abs(least.skewMs) <= skewLimitMs)
    return sound(name, `agrees with ${toDisplayHost(least.link.host)}`);
  const minutes = Math.round(Math.abs(least.skewMs) / 60_000);
  const direction = least.skewMs > 0 ? 'ahead of' : 'behind';
  const detail = `this machine is ${minutes} minutes ${direction} ${toDisplayHost(least.link.host)}, so tokens seem to end too ${least.skewMs > 0 ? 'early' : 'late'}`;
  return { name, state: 'warning', detail, fix: 'sudo timedatectl set-ntp true' };
}
