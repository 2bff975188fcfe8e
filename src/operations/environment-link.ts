import { readFileSync } from 'node:fs';
import { UsageError } from '../errors.ts';
import { parseHost } from '../http/base-url.ts';
import { installationKind, type Provider } from '../providers/provider.ts';
import { findProvider, providers } from '../providers/registry.ts';
import { Secret } from '../secret.ts';
import { environmentId, type EnvironmentRecords } from '../store/environment-records.ts';
import type { ClientRecord, LinkRecord } from '../store/link-schema.ts';
import { parseName } from '../git/repository-path.ts';
import { packCredential, toMintedCredential, type StoredCredential } from './stored-credential.ts';
import { judgeTokenShape } from './token-shape.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** The link `env`, which exists in this process tree alone, with its secrets by their items. */
export interface EnvironmentLink extends EnvironmentRecords {
  readonly secrets: ReadonlyMap<string, Secret>;
}

const credentialItem = 'credential.env';
const keyItem = 'app-key.env';
const clientItem = 'client.env';

/**
 * Makes the link of the environment (design, section 6): `GITLINK_PROVIDER` with a token, a GitHub App's key, or the
 * secret of a program that signs in by itself. Nobody is asked, and no host either.
 *
 * @throws UsageError naming the variable that is missing or wrong; its value is never quoted.
 */
export function readEnvironmentLink(env: Environment, now: number): EnvironmentLink {
  const word = env['GITLINK_PROVIDER'] ?? '';
  const choice = findProvider(word);
  if (choice === null) {
    throw new UsageError('GITLINK_PROVIDER names no provider.', {
      hint: `There are: ${providers.map(({ id }) => id).join(', ')}`,
    });
  }
  const { provider, flavour } = choice;
  const address = env['GITLINK_HOST'] || choice.host;
  if (!address) throw missing('GITLINK_HOST', `${provider.displayName} has many hosts`);
  const allowHttp = env['GITLINK_ALLOW_HTTP'] === '1';
  const host = parseHost(address, { allowHttp });
  const credential = readCredential(env, provider);
  const link: LinkRecord = {
    id: environmentId,
    name: environmentId,
    provider: provider.id,
    flavour,
    host,
    hostVersion: null,
    organization: env['GITLINK_ORGANIZATION'] || null,
    tenant: env['GITLINK_TENANT'] || null,
    method: credential.method,
    account: credential.account,
    credentialKind: credential.stored.kind,
    credentialOrigin: 'pasted',
    credentialItem,
    client: credential.client === null ? null : environmentId,
    rotationBegunAt: null,
    restriction: readRestriction(env),
    status: 'unchecked',
    statusReason: null,
    checkedAt: null,
    scopes: null,
    expiresAt: null,
    createdAt: now,
    storage: 'env',
    webhook: null,
    caFile: null,
    allowHttp,
  };
  const client = credential.client === null ? null : toClient(provider.id, host, now, credential.client);
  const secrets = new Map([
    ...credential.secrets,
    [credentialItem, packCredential(credential.stored)] as const,
  ]);
  return { link, client, secrets };
}

/** The variables that hold a client of a provider (design, section 5). */
export function nameClientVariables(provider: Provider['id']): {
  readonly id: string;
  readonly secret: string;
} {
  const prefix = `GITLINK_${provider.toUpperCase().replaceAll('-', '_')}_CLIENT`;
  return { id: `${prefix}_ID`, secret: `${prefix}_SECRET` };
}

interface GivenCredential {
  readonly method: LinkRecord['method'];
  readonly account: LinkRecord['account'];
  readonly stored: StoredCredential;
  readonly client: Pick<ClientRecord, 'clientId' | 'secretItem' | 'app'> | null;
  readonly secrets: readonly (readonly [item: string, secret: Secret])[];
}

function readCredential(env: Environment, provider: Provider): GivenCredential {
  const token = readSecret(env, 'GITLINK_TOKEN');
  if (token !== null) return readToken(env, provider, token);
  if (env['GITLINK_APP_ID']) return readApp(env, provider);
  const variables = nameClientVariables(provider.id);
  const { [variables.id]: clientId } = env;
  const secret = readSecret(env, variables.secret);
  if (provider.oauth?.clientCredentials && clientId && secret !== null) {
    if (!env['GITLINK_TENANT']) throw missing('GITLINK_TENANT', 'a program signs in to its own directory');
    return {
      method: 'app',
      account: { login: null, kind: 'serviceAccount', id: null },
      stored: toMintedCredential(provider.oauth.clientCredentials.kind, []),
      client: { clientId, secretItem: clientItem, app: null },
      secrets: [[clientItem, secret]],
    };
  }
  const ways = [
    'GITLINK_TOKEN',
    ...(provider.apps ? ['GITLINK_APP_ID with GITLINK_APP_PRIVATE_KEY and GITLINK_APP_INSTALLATION'] : []),
    ...(provider.oauth?.clientCredentials
      ? [`GITLINK_TENANT with ${variables.id} and ${variables.secret}`]
      : []),
  ];
  throw new UsageError('GITLINK_PROVIDER is set, and there is no credential beside it.', {
    hint: `Set ${ways.join(', or ')}; each secret may be in a file that NAME_FILE names.`,
  });
}

function readToken(env: Environment, provider: Provider, token: Secret): GivenCredential {
  const login = env['GITLINK_USERNAME'] || null;
  const shape = judgeTokenShape(provider, token, login);
  if (shape.use === 'none') throw new UsageError(`GITLINK_TOKEN holds ${shape.what}.`, { hint: shape.hint });
  const username = env['GITLINK_EMAIL'];
  if (shape.use === 'api' && shape.companion === 'email' && !username) {
    throw missing('GITLINK_EMAIL', 'this kind of token goes with the e-mail address of its account');
  }
  if (shape.use === 'git' && login === null) {
    throw missing('GITLINK_USERNAME', 'this kind of token has a user name of its own');
  }
  const isForEmail = shape.use === 'api' && shape.companion === 'email';
  return {
    method: 'token',
    account: { login: shape.use === 'git' ? login : null, kind: 'unknown', id: null },
    stored: { kind: shape.kind, token, signIn: null, ...(isForEmail && username ? { username } : {}) },
    client: null,
    secrets: [],
  };
}

function readApp(env: Environment, provider: Provider): GivenCredential {
  const { GITLINK_APP_ID: id = '', GITLINK_APP_INSTALLATION: installation = '' } = env;
  if (!provider.apps) throw new UsageError(`GITLINK_APP_ID is set, and ${provider.displayName} has no Apps.`);
  if (!/^\d{1,20}$/.test(id)) throw new UsageError('GITLINK_APP_ID is not the number of an App.');
  if (!/^\d{1,20}$/.test(installation)) {
    throw missing('GITLINK_APP_INSTALLATION', "the number at the end of the installation's address");
  }
  const key = readSecret(env, 'GITLINK_APP_PRIVATE_KEY');
  if (key === null) throw missing('GITLINK_APP_PRIVATE_KEY', 'an App proves itself by its key');
  const app = {
    id,
    slug: `of the environment (${id})`,
    owner: null,
    ownerKind: null,
    pageUrl: '',
    keyItem,
    webhook: null,
  };
  return {
    method: 'app',
    account: { login: null, kind: 'installation', id: installation },
    stored: toMintedCredential(installationKind, []),
    client: { clientId: id, secretItem: null, app },
    // Variables of many CI systems hold one line.
    secrets: [[keyItem, key.map((text) => text.replaceAll('\\n', '\n'))]],
  };
}

function toClient(
  provider: Provider['id'],
  host: string,
  createdAt: number,
  given: Pick<ClientRecord, 'clientId' | 'secretItem' | 'app'>,
): ClientRecord {
  return {
    id: environmentId,
    provider,
    host,
    ...given,
    storage: 'env',
    registrationId: null,
    callbackPort: null,
    createdAt,
  };
}

function readRestriction(env: Environment): LinkRecord['restriction'] {
  const names = (env['GITLINK_NAMESPACES'] ?? '').split(',').map((name) => name.trim());
  const namespaces = names.filter((name) => name !== '');
  if (namespaces.some((name) => parseName(name) === null)) {
    throw new UsageError('GITLINK_NAMESPACES holds what is no namespace.', {
      hint: 'Names are divided by commas: acme,tools/ci',
    });
  }
  return namespaces.length === 0
    ? { mode: 'unrestricted' }
    : { mode: 'restricted', namespaces, repositories: [] };
}

/** The value of a variable, or of the file that `NAME_FILE` names. */
function readSecret(env: Environment, name: string): Secret | null {
  const { [name]: value, [`${name}_FILE`]: path } = env;
  if (value && path) throw new UsageError(`${name} and ${name}_FILE are both set; one is enough.`);
  if (value?.trim()) return new Secret(value.trim());
  if (!path) return null;
  try {
    const text = readFileSync(path, 'utf8').trim();
    if (text === '') throw new UsageError(`The file of ${name}_FILE is empty.`);
    return new Secret(text);
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw new UsageError(`The file of ${name}_FILE cannot be read: ${code}.`);
  }
}

function missing(name: string, why: string): UsageError {
  return new UsageError(`${name} is not set, and ${why}.`);
}
