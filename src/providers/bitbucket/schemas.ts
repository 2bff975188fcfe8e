import * as v from 'valibot';

/** Only the fields that gitlink reads, lenient where they are not documented. */
const link = v.object({ links: v.object({}) });

/** What webhooks can hang at; no other product has such an answer. */
export const hookSubjects = v.object({ repository: link, workspace: link });

/** Of a list only these two are promised. */
export const page = v.object({ values: v.array(v.unknown()), next: v.nullish(v.string()) });

/** `username` is not documented any more, and still sent. */
export const user = v.object({
  uuid: v.string(),
  type: v.nullish(v.string()),
  username: v.nullish(v.string()),
  nickname: v.nullish(v.string()),
});

export const workspace = v.object({ slug: v.string(), uuid: v.string() });
export const workspaceAccess = v.object({ workspace: v.object({ slug: v.string() }) });

export const project = v.object({ key: v.string(), uuid: v.string() });
export const projectKey = v.object({ key: v.string() });

export const repository = v.object({
  uuid: v.string(),
  full_name: v.string(),
  is_private: v.boolean(),
  project: v.nullish(projectKey),
  mainbranch: v.nullish(v.object({ name: v.string() })),
});

export const repositoryProject = v.object({ project });

export const permission = v.object({
  permission: v.string(),
  repository: v.object({ uuid: v.string() }),
});

export const hook = v.object({
  uuid: v.string(),
  url: v.string(),
  description: v.nullish(v.string()),
  active: v.boolean(),
  events: v.array(v.string()),
  secret_set: v.nullish(v.boolean()),
  // Both are not documented.
  skip_cert_verification: v.nullish(v.boolean()),
  history_enabled: v.nullish(v.boolean()),
});

/** Bitbucket's own words on a failure. `detail` may be a text or an object. */
export const failure = v.object({
  type: v.literal('error'),
  error: v.object({
    message: v.string(),
    detail: v.nullish(v.unknown()),
    fields: v.nullish(v.record(v.string(), v.unknown())),
  }),
});

export type User = v.InferOutput<typeof user>;
export type Repository = v.InferOutput<typeof repository>;
export type Hook = v.InferOutput<typeof hook>;
