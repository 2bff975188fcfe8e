import * as v from 'valibot';

/** Only the fields that gitlink reads, lenient where versions of Azure DevOps differ. */
const text = v.nullish(v.string());

export const failure = v.object({ message: v.nullish(v.string(), ''), typeKey: v.nullish(v.string(), '') });

export const connection = v.object({
  authenticatedUser: v.object({
    id: v.string(),
    providerDisplayName: v.nullish(v.string(), ''),
    subjectDescriptor: v.nullish(v.string(), ''),
    properties: v.nullish(v.object({ Account: v.nullish(v.object({ $value: v.nullish(v.string()) })) })),
  }),
  instanceId: v.string(),
  deploymentType: text,
});

export const profile = v.object({ id: v.string() });

export const organization = v.object({ accountName: v.string() });

export const permission = v.boolean();

export const project = v.object({ id: v.string(), name: v.string() });

export const repository = v.object({
  id: v.string(),
  name: v.string(),
  defaultBranch: text,
  isDisabled: v.nullish(v.boolean(), false),
  project: v.object({
    ...project.entries,
    state: v.nullish(v.string(), 'wellFormed'),
    visibility: v.nullish(v.string(), 'private'),
  }),
});

const inputs = v.nullish(v.record(v.string(), v.nullish(v.string(), '')), {});

/** A webhook for one event. */
export const subscription = v.object({
  id: v.string(),
  eventType: v.string(),
  consumerActionId: text,
  resourceVersion: text,
  status: v.nullish(v.string(), 'enabled'),
  publisherInputs: inputs,
  consumerInputs: inputs,
});

/** One delivery, or the test of one. */
export const notification = v.object({
  id: v.union([v.number(), v.string()]),
  status: v.nullish(v.string(), 'completed'),
  result: v.nullish(v.string(), 'pending'),
  details: v.nullish(v.object({ response: text, errorMessage: text })),
});

/** A personal access token; `token` is there in the answer to its making alone. */
export const patToken = v.object({
  authorizationId: v.string(),
  displayName: v.nullish(v.string(), ''),
  scope: v.nullish(v.string(), ''),
  validFrom: text,
  validTo: text,
  token: text,
});

export const patTokens = v.object({ continuationToken: text, patTokens: v.array(patToken) });

/** An answer of 200 that may mean that nothing was done. */
export const patResult = v.object({
  patToken: v.nullish(patToken),
  patTokenError: v.nullish(v.string(), 'none'),
  patTokenErrorMessage: text,
});

export type Connection = v.InferOutput<typeof connection>;
export type Repository = v.InferOutput<typeof repository>;
export type Subscription = v.InferOutput<typeof subscription>;
export type Notification = v.InferOutput<typeof notification>;
export type PatToken = v.InferOutput<typeof patToken>;
