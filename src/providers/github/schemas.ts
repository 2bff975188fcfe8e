import * as v from 'valibot';

/** Only the fields that gitlink reads, lenient where releases of GitHub differ. */
const id = v.pipe(v.number(), v.safeInteger());
const text = v.string();
const flag = v.nullish(v.boolean(), false);
const permissions = v.nullish(v.record(v.string(), v.string()), {});

/** GitHub's explanation of a refusal. The errors of a form are objects or texts, and one may come without a list. */
export const failure = v.object({
  message: text,
  documentation_url: v.nullish(text),
  errors: v.nullish(v.unknown()),
});

export const fault = v.object({ message: text });

export const meta = v.object({
  installed_version: v.nullish(text),
  verifiable_password_authentication: v.nullish(v.boolean()),
});

const owner = v.object({ login: text, id, type: v.nullish(text, 'User') });

export const user = owner;

export const organization = v.object({ login: text });

export const membership = v.object({ organization });

export const repository = v.object({
  id,
  full_name: text,
  owner,
  private: v.boolean(),
  archived: flag,
  html_url: text,
  clone_url: v.nullish(text),
  default_branch: v.nullish(text),
  permissions: v.nullish(v.object({ admin: flag })),
});

export const repositoryPage = v.object({ total_count: id, repositories: v.array(repository) });

export const hookConfig = v.object({
  url: v.nullish(text),
  content_type: v.nullish(text),
  /** Masked. */
  secret: v.nullish(text),
  insecure_ssl: v.nullish(v.union([text, v.number()])),
});

export const hook = v.object({ id, active: flag, events: v.array(text), config: hookConfig });

export const delivery = v.object({
  id,
  event: text,
  status: v.nullish(text, ''),
  status_code: v.nullish(v.number(), 0),
});

export const app = v.object({
  id,
  slug: text,
  name: text,
  client_id: v.nullish(text),
  // An enterprise that owns an app has a slug instead.
  owner: v.nullish(v.object({ login: v.nullish(text), slug: v.nullish(text), type: v.nullish(text) })),
  html_url: text,
  permissions,
  events: v.nullish(v.array(text), []),
});

export const createdApp = v.object({
  ...app.entries,
  client_id: text,
  client_secret: text,
  pem: text,
  webhook_secret: v.nullish(text),
});

const installedOn = v.object({ login: v.nullish(text), slug: v.nullish(text), type: v.nullish(text) });

export const installation = v.object({
  id,
  account: v.nullish(installedOn),
  target_type: v.nullish(text),
  repository_selection: v.nullish(text),
  permissions,
  html_url: text,
  suspended_at: v.nullish(text),
});

export const installationPage = v.object({ total_count: id, installations: v.array(installation) });

export const installationRequest = v.object({
  account: installedOn,
  requester: v.nullish(v.object({ login: text })),
});

export const mintedToken = v.object({
  token: text,
  expires_at: text,
  repositories: v.nullish(v.array(v.object({ full_name: text }))),
});

export type User = v.InferOutput<typeof user>;
export type Repository = v.InferOutput<typeof repository>;
export type Hook = v.InferOutput<typeof hook>;
export type HookConfig = v.InferOutput<typeof hookConfig>;
export type Delivery = v.InferOutput<typeof delivery>;
export type App = v.InferOutput<typeof app>;
export type Installation = v.InferOutput<typeof installation>;
