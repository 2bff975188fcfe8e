import * as v from 'valibot';

/** Only the fields that gitlink reads, lenient where versions of Gitea and Forgejo differ. */
const id = v.pipe(v.number(), v.safeInteger());

export const version = v.object({ version: v.string() });

export const user = v.object({ id, login: v.string() });

export const ownToken = v.object({
  id,
  scopes: v.nullish(v.array(v.string()), []),
  user: v.object({ id, login: v.string() }),
});

export const listedToken = v.object({
  id,
  token_last_eight: v.string(),
  scopes: v.nullish(v.array(v.string()), []),
});

export const madeToken = v.object({ sha1: v.pipe(v.string(), v.nonEmpty()) });

export const application = v.object({
  id,
  client_id: v.pipe(v.string(), v.nonEmpty()),
  client_secret: v.nullish(v.string(), ''),
});

export const introspection = v.object({ active: v.boolean(), scope: v.nullish(v.string(), '') });

export const organization = v.object({ username: v.nullish(v.string()), name: v.nullish(v.string()) });

export const repository = v.object({
  id,
  name: v.string(),
  full_name: v.string(),
  owner: v.object({ login: v.string() }),
  private: v.boolean(),
  archived: v.nullish(v.boolean(), false),
  empty: v.nullish(v.boolean(), false),
  clone_url: v.string(),
  html_url: v.string(),
  default_branch: v.nullish(v.string(), ''),
  permissions: v.nullish(v.object({ admin: v.boolean() }), { admin: false }),
});

export const hook = v.object({
  id,
  type: v.nullish(v.string(), 'gitea'),
  config: v.object({ url: v.nullish(v.string(), ''), content_type: v.nullish(v.string(), 'json') }),
  events: v.nullish(v.array(v.string()), []),
  active: v.boolean(),
  branch_filter: v.nullish(v.string(), ''),
  authorization_header: v.nullish(v.string(), ''),
  name: v.nullish(v.string(), ''),
});

export type Repository = v.InferOutput<typeof repository>;
export type Hook = v.InferOutput<typeof hook>;
