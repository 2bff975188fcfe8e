import * as v from 'valibot';
import { currentFormat } from './migrations.ts';
import { lastMoment } from './moment.ts';

const text = v.string();
const moment = v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(lastMoment));
const time = v.nullable(moment);
const names = v.array(text);

/** Where secrets lie; `env` for the link of the environment, which is never in a file. */
const storage = v.picklist(['keychain', 'file', 'env']);

/** What is known of a link without asking anybody. */
export const linkStatuses = [
  'unchecked',
  'ok',
  'expiring',
  'expired',
  'revoked',
  'insufficient',
  'unreachable',
  'suspended',
  'pending',
  'unlinking',
  'secretMissing',
] as const;

const providerIds = ['github', 'gitlab', 'bitbucket', 'bitbucket-dc', 'gitea', 'azure-devops'] as const;

const account = v.object({
  login: v.nullable(text),
  kind: v.picklist([
    'user',
    'bot',
    'serviceAccount',
    'installation',
    'workspace',
    'project',
    'repository',
    'group',
    'unknown',
  ]),
  id: v.nullable(text),
});

const restriction = v.variant('mode', [
  v.object({ mode: v.literal('unrestricted') }),
  v.object({
    mode: v.literal('restricted'),
    namespaces: names,
    /** The id keeps a repository in the restriction when it is renamed. */
    repositories: v.array(v.object({ id: text, fullName: text })),
  }),
]);

const webhookTarget = v.object({
  url: text,
  /** gitlink's words and `native:…`. */
  events: names,
  at: v.picklist(['repositories', 'namespace', 'app']),
  regeneratedAt: time,
  /** Secret store items: what the hooks have; what a rotation is bringing them to; null where there is none. */
  secretItem: v.nullable(text),
  nextSecretItem: v.nullable(text),
  /** What hooks still have that no rotation could reach, the newest first. */
  olderSecretItems: v.optional(names),
});

const link = v.object({
  id: text,
  name: text,
  provider: v.picklist(providerIds),
  flavour: text,
  host: text,
  hostVersion: v.nullable(text),
  organization: v.nullable(text),
  /** The directory where the people of the organization sign in: Entra's tenant. */
  tenant: v.nullable(text),
  method: v.picklist(['app', 'oauth', 'device', 'token']),
  account,
  /** The adapter's word for the kind of token. */
  credentialKind: text,
  /** A credential that a person pasted is theirs and is revoked only when they say so. */
  credentialOrigin: v.picklist(['pasted', 'obtained']),
  credentialItem: text,
  /** The client that a sign-in was made with, by its `id`; null for other credentials. */
  client: v.nullable(text),
  /** When a rotation was begun of which nobody knows the end; null for none. */
  rotationBegunAt: time,
  restriction,
  status: v.picklist(linkStatuses),
  statusReason: v.nullable(text),
  checkedAt: time,
  scopes: v.nullable(names),
  expiresAt: time,
  createdAt: moment,
  storage,
  webhook: v.nullable(webhookTarget),
  caFile: v.nullable(text),
  allowHttp: v.boolean(),
});

/** What a client is beside that, where it is an app that acts by itself. */
const app = v.object({
  /** The host's number of the app. */
  id: text,
  slug: text,
  owner: v.nullable(text),
  ownerKind: v.nullable(v.picklist(['user', 'organization'])),
  /** The public page, without trailing slash. */
  pageUrl: text,
  /** The private key. */
  keyItem: text,
  /** The one webhook, where the app has one; its secret belongs to all links of the app. */
  webhook: v.nullable(webhookTarget),
});

/** An OAuth client that is registered at a host. */
const client = v.object({
  id: text,
  provider: v.picklist(providerIds),
  host: text,
  /** What the host calls it; no secret. */
  clientId: text,
  /** Null for a public client that was given no secret. */
  secretItem: v.nullable(text),
  storage,
  /** What the host's API calls the registration; null where gitlink did not make it. */
  registrationId: v.nullable(text),
  /** The port of its registered redirect, where that is not the provider's usual one. */
  callbackPort: v.nullable(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535))),
  /** Null for a client that only signs people in. */
  app: v.nullable(app),
  createdAt: moment,
});

/** A secret that may lie in a store without a record: written before it, removed with it. */
const intent = v.object({
  item: text,
  storage,
  createdAt: moment,
});

/** What `setup-git` replaced in git's configuration for a host, so that undoing restores it. */
const gitSetup = v.object({
  host: text,
  file: text,
  keys: v.array(v.object({ name: text, written: names, replaced: names })),
});

export const recordsSchema = v.object({
  /** The format of this file; which one is understood is for `migrations.ts` to say. */
  version: v.pipe(v.number(), v.safeInteger()),
  /** The oldest format whose readers understand this file. */
  minReader: v.pipe(v.number(), v.safeInteger()),
  links: v.array(link),
  clients: v.array(client),
  intents: v.array(intent),
  gitSetups: v.array(gitSetup),
  /** Where the passphrase of the encrypted file is read, so that git's helper can open it. */
  passphraseFile: v.nullable(text),
});

export type LinkRecord = v.InferOutput<typeof link>;
export type ClientRecord = v.InferOutput<typeof client>;
export type AppRecord = v.InferOutput<typeof app>;
export type LinkStatus = LinkRecord['status'];
export type Restriction = v.InferOutput<typeof restriction>;
export type WebhookTarget = v.InferOutput<typeof webhookTarget>;
export type Records = v.InferOutput<typeof recordsSchema>;
export type Storage = LinkRecord['storage'];

export const emptyRecords: Records = {
  version: currentFormat.version,
  minReader: currentFormat.version,
  links: [],
  clients: [],
  intents: [],
  gitSetups: [],
  passphraseFile: null,
};
