import * as v from 'valibot';

/** Only the fields that gitlink reads, lenient where versions of GitLab differ. */
const id = v.pipe(v.number(), v.safeInteger());
const flag = v.nullish(v.boolean(), false);
const names = v.nullish(v.array(v.string()), []);

export const version = v.object({ version: v.string() });

export const user = v.object({ id, username: v.string(), bot: v.nullish(v.boolean()) });

/** A token of the personal kind, which project, group and service account tokens are too. */
export const ownToken = v.object({
  active: v.nullish(v.boolean(), true),
  revoked: flag,
  scopes: names,
  created_at: v.nullish(v.string()),
  expires_at: v.nullish(v.string()),
});

export const rotatedToken = v.object({ token: v.string(), expires_at: v.nullish(v.string()) });

export const tokenInfo = v.object({ scope: names, expires_in: v.nullish(v.number()) });

export const group = v.object({ full_path: v.string(), marked_for_deletion_on: v.nullish(v.string()) });

const access = v.nullish(v.object({ access_level: v.number() }));

export const project = v.object({
  id,
  path_with_namespace: v.string(),
  web_url: v.string(),
  http_url_to_repo: v.nullish(v.string()),
  default_branch: v.nullish(v.string()),
  visibility: v.nullish(v.string(), 'private'),
  archived: flag,
  empty_repo: flag,
  marked_for_deletion_on: v.nullish(v.string()),
  marked_for_deletion_at: v.nullish(v.string()),
  permissions: v.nullish(v.object({ project_access: access, group_access: access })),
});

export const projectId = v.object({ id });

/** Loose, because the events are one field each, and newer versions have more of them. */
export const hook = v.looseObject({
  id,
  url: v.string(),
  // Absent before 17.1, null for a hook without a name.
  name: v.optional(v.nullable(v.string())),
  alert_status: v.nullish(v.string(), 'executable'),
  url_variables: v.nullish(v.array(v.unknown()), []),
  // Both absent before 19.0.
  token_present: v.nullish(v.boolean()),
  signing_token_present: v.nullish(v.boolean()),
});

export const hookEvents = v.array(
  v.object({ response_status: v.nullish(v.union([v.string(), v.number()])) }),
);

export const application = v.object({ id, application_id: v.string() });

export type User = v.InferOutput<typeof user>;
export type OwnToken = v.InferOutput<typeof ownToken>;
export type Project = v.InferOutput<typeof project>;
export type Hook = v.InferOutput<typeof hook>;
