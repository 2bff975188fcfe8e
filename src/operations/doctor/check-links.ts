import { getProvider } from '../../providers/registry.ts';
import type { ClientRecord, LinkRecord, Records } from '../../store/link-schema.ts';
import { isInstallation } from '../is-installation.ts';
import { describeLinks } from '../describe-links.ts';
import { findNextStep } from '../next-step.ts';
import { quoteWord } from '../quote-word.ts';
import { findOwnWebhooks } from '../remove-webhooks.ts';
import { listClientItems, parseItemName } from '../secret-items.ts';
import { tryUnpackCredential } from '../stored-credential.ts';
import { describeUnfinishedRun } from '../unfinished-run.ts';
import { count, sound, type Check, type Doctor } from './check.ts';
import { storeWords, type StoreReadings } from './read-stores.ts';

/** Whether each link has what it needs here, and what was begun and not finished. */
export function checkLinks({ context, records }: Doctor, stores: StoreReadings): readonly Check[] {
  const name = 'links';
  if (records === null) return [];
  const states = new Map(describeLinks(context, records.links).map(({ id, status }) => [id, status]));
  const checks = records.links.flatMap((link) => {
    const state = judgeState(link, states.get(link.id) ?? link.status);
    // What an unlinking that was stopped has removed already is not missing.
    if (link.status === 'unlinking') return state ? [state] : [];
    // A credential that a stopped rotation has left is another check's finding, and may be the one that works.
    if (isLeft(link, records, stores)) return [];
    const fault = findMissing(link, records, stores) ?? state;
    return [...(fault ? [fault] : []), ...findUnfinished(link)];
  });
  return checks.length > 0
    ? checks
    : [sound(name, `${count(records.links.length, 'link')}, each with its secret`)];
}

function isLeft({ id, storage }: LinkRecord, { intents }: Records, stores: StoreReadings): boolean {
  const isOfLink = (item: string): boolean => {
    const name = parseItemName(item);
    return name?.kind === 'credential' && name.id === id;
  };
  return intents.some(({ item }) => isOfLink(item) && stores[storage].secrets.has(item));
}

function findMissing(link: LinkRecord, records: Records, stores: StoreReadings): Check | null {
  const store = stores[link.storage];
  const place = storeWords[link.storage];
  const error = (detail: string, fix: string): Check => ({ name: 'links', state: 'error', detail, fix });
  if (!getProvider(link.provider)) {
    const detail = `"${link.name}" is of ${link.provider}, which this gitlink does not know`;
    return error(detail, 'npm install --global gitlink@latest');
  }
  if (link.client !== null && !records.clients.some(({ id }) => id === link.client)) {
    return error(`the client that "${link.name}" was signed in with is gone`, `gitlink relink ${link.name}`);
  }
  // A store that does not answer says nothing about what it holds.
  if (store.fault !== null) return null;
  const secret = store.secrets.get(link.credentialItem);
  // That of an installation is nothing but tokens which its app's key makes anew.
  if (!secret && !isInstallation(link)) {
    const detail = `the secret of "${link.name}" is not in the ${place} any more`;
    return error(detail, `gitlink relink ${link.name}`);
  }
  if (secret && tryUnpackCredential(secret) === null) {
    return error(`the secret of "${link.name}" is damaged`, `gitlink relink ${link.name}`);
  }
  const { webhook } = link;
  const lost = [webhook?.secretItem, webhook?.nextSecretItem].some(
    (item) => item != null && !store.secrets.has(item),
  );
  if (!lost) return null;
  const detail = `the webhook secret of "${link.name}" is not in the ${place} any more`;
  return error(detail, `gitlink regenerate-webhooks ${link.name}`);
}

/** What an earlier check of the host has found, or the calendar says. */
function judgeState(link: LinkRecord, status: LinkRecord['status']): Check | null {
  const finding = findings[status];
  if (finding === null) return null;
  const { name, statusReason } = link;
  const reason = statusReason === null ? '' : ` (${statusReason})`;
  const fix = findNextStep({ ...link, status }) ?? 'gitlink list --check';
  return { name: 'links', state: finding.state, detail: `"${name}" ${finding.words}${reason}`, fix };
}

interface Finding {
  readonly state: Check['state'];
  /** What follows the link's name. */
  readonly words: string;
}

/** What is to be said of a link by its status; null where nothing is, or another check says it. */
const findings: Readonly<Record<LinkRecord['status'], Finding | null>> = {
  expired: { state: 'error', words: 'is expired' },
  revoked: { state: 'error', words: 'is refused by its host' },
  secretMissing: { state: 'error', words: 'is without its secret' },
  insufficient: { state: 'warning', words: 'is insufficient' },
  suspended: { state: 'warning', words: 'is suspended' },
  pending: { state: 'warning', words: 'waits for somebody at the host' },
  unlinking: { state: 'warning', words: 'is being unlinked; a step was left' },
  unchecked: null,
  ok: null,
  expiring: null,
  unreachable: null,
};

function findUnfinished(link: LinkRecord): Check[] {
  if (link.rotationBegunAt === null || link.status === 'revoked') return [];
  const at = new Date(link.rotationBegunAt).toISOString().slice(0, 16).replace('T', ' ');
  const detail = `a rotation of "${link.name}" was begun at ${at} UTC, and nobody knows its end`;
  return [{ name: 'links', state: 'warning', detail, fix: `gitlink rotate ${link.name}` }];
}

/** Runs of `regenerate-webhooks` that were stopped: some hooks have another secret than others. */
export function checkWebhookRuns({ context, records }: Doctor): Promise<readonly Check[]> {
  const name = 'webhook-runs';
  const checks = (records?.links ?? [])
    .filter(({ status }) => status !== 'unlinking')
    .flatMap((link): Check[] => {
      const unfinished = describeUnfinishedRun(context, link);
      if (unfinished !== null) {
        const detail = `a run for "${link.name}" is unfinished: ${unfinished}`;
        return [{ name, state: 'warning', detail, fix: `gitlink regenerate-webhooks ${link.name}` }];
      }
      const unknown = findOwnWebhooks(context, link).filter(({ state }) => state === 'sent').length;
      if (unknown === 0) return [];
      const detail = `the answer for ${count(unknown, 'hook')} of "${link.name}" was lost`;
      return [{ name, state: 'warning', detail, fix: `gitlink regenerate-webhooks ${link.name} --repair` }];
    });
  return Promise.resolve(checks.length > 0 ? checks : [sound(name, 'all finished')]);
}

/** Clients that nobody signs in with, and those whose secrets are gone. */
export function checkClients({ records }: Doctor, stores: StoreReadings): readonly Check[] {
  const name = 'clients';
  const clients = records?.clients ?? [];
  if (records === null || clients.length === 0) return [];
  const checks = clients.flatMap((client): Check[] => {
    const fix = `gitlink client remove ${quoteWord(client.clientId)}`;
    if (!records.links.some((link) => link.client === client.id)) {
      const detail = `the client ${client.clientId} of ${client.host} is registered, and no link uses it`;
      return [{ name, state: 'warning', detail, fix }];
    }
    return findMissingClientSecret(client, stores);
  });
  return checks.length > 0 ? checks : [sound(name, `${count(clients.length, 'client')}, all in use`)];
}

function findMissingClientSecret(client: ClientRecord, stores: StoreReadings): Check[] {
  const { fault, secrets } = stores[client.storage];
  if (fault !== null || listClientItems(client).every((item) => secrets.has(item))) return [];
  const { provider, host, clientId } = client;
  const detail = `the secret of the client ${clientId} is not in the ${storeWords[client.storage]} any more`;
  const fix = `gitlink client add ${provider} --host ${quoteWord(host)} --client-id ${quoteWord(clientId)} --with-secret`;
  return [{ name: 'clients', state: 'error', detail, fix }];
}
