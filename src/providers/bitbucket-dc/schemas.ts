import * as v from 'valibot';

/** Only the fields that gitlink reads, lenient where versions of Bitbucket and its description differ. */
const id = v.pipe(v.number(), v.safeInteger());
const flag = v.nullish(v.boolean(), false);

/** A page of a list; the next one begins where it says, which is not always after its last value. */
export function page<Schema extends v.GenericSchema>(item: Schema) {
  return v.object({
    values: v.array(item),
    isLastPage: v.nullish(v.boolean()),
    nextPageStart: v.nullish(v.pipe(v.number(), v.safeInteger())),
  });
}

/** The name of an instance is its administrator's choice, so it tells nothing. */
export const applicationProperties = v.object({
  version: v.pipe(v.string(), v.regex(/^\d+\.\d+/)),
  buildNumber: v.union([v.string(), v.number()]),
  displayName: v.string(),
});

/** How every refusal is explained. */
export const refusal = v.object({
  errors: v.pipe(
    v.array(v.object({ message: v.nullish(v.string()), exceptionName: v.nullish(v.string()) })),
    v.minLength(1),
  ),
});

export const user = v.object({
  id,
  name: v.string(),
  slug: v.string(),
  // `SERVICE`: what stands behind a project's or repository's token.
  type: v.nullish(v.string(), 'NORMAL'),
});

export const project = v.object({
  key: v.string(),
  public: flag,
  type: v.nullish(v.string(), 'NORMAL'),
  owner: v.nullish(v.object({ slug: v.string() })),
});

const link = v.object({ href: v.string(), name: v.nullish(v.string()) });

export const repository = v.object({
  id,
  slug: v.string(),
  name: v.nullish(v.string()),
  project,
  public: flag,
  archived: flag,
  defaultBranch: v.nullish(v.string()),
  links: v.nullish(v.object({ clone: v.nullish(v.array(link), []), self: v.nullish(v.array(link), []) }), {}),
});

const settings = v.nullish(v.record(v.string(), v.unknown()));

export const hook = v.object({
  id,
  name: v.nullish(v.string()),
  url: v.string(),
  active: v.nullish(v.boolean(), true),
  events: v.nullish(v.array(v.string()), []),
  // With the secret in clear, on the versions that are known.
  configuration: settings,
  credentials: settings,
  sslVerificationRequired: v.nullish(v.boolean(), true),
});

/** What became of a test: the answer of the receiver, where it gave one. */
export const testResult = v.object({
  response: v.nullish(v.object({ statusCode: v.nullish(v.number()) })),
});

export const invocation = v.object({
  result: v.nullish(v.object({ outcome: v.nullish(v.string()), statusCode: v.nullish(v.number()) })),
});

/** Epoch milliseconds as servers send them, or a date as the official description has it. */
const moment = v.nullish(v.union([v.number(), v.string()]));

export const accessToken = v.object({
  name: v.string(),
  permissions: v.nullish(v.array(v.string())),
  createdDate: moment,
  expiryDate: moment,
});

export const madeAccessToken = v.object({ token: v.pipe(v.string(), v.nonEmpty()), expiryDate: moment });

export type User = v.InferOutput<typeof user>;
export type Project = v.InferOutput<typeof project>;
export type Repository = v.InferOutput<typeof repository>;
export type Hook = v.InferOutput<typeof hook>;
export type AccessToken = v.InferOutput<typeof accessToken>;
