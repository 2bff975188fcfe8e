import type { AzureDevopsOrganization, AzureDevopsProject, AzureDevopsUser } from './state.ts';

export const subscriptionStatuses = [
  'enabled',
  'onProbation',
  'disabledByUser',
  'disabledBySystem',
  'disabledByInactiveIdentity',
] as const;
export type SubscriptionStatus = (typeof subscriptionStatuses)[number];

/** One event for one place: a subscription of Service Hooks. */
export interface AzureDevopsSubscription {
  readonly id: string;
  readonly organization: AzureDevopsOrganization;
  project: AzureDevopsProject;
  eventType: string;
  resourceVersion: string;
  /** What was sent; secrets as they are. */
  publisherInputs: Readonly<Record<string, string>>;
  consumerInputs: Readonly<Record<string, string>>;
  status: SubscriptionStatus;
  readonly createdBy: AzureDevopsUser;
  readonly createdAt: number;
  modifiedBy: AzureDevopsUser;
  modifiedAt: number;
  lastSuccessAt: number | null;
  failuresInRow: number;
  /** Newest last. */
  readonly notifications: AzureDevopsNotification[];
}

/** One delivery as the history has it. */
export interface AzureDevopsNotification {
  readonly id: number;
  readonly subscriptionId: string;
  readonly eventId: string;
  readonly eventType: string;
  readonly createdAt: number;
  status: 'queued' | 'completed';
  result: 'pending' | 'succeeded' | 'failed';
  request: string;
  response: string | null;
  errorMessage: string | null;
  /** With what is secret masked. */
  readonly consumerInputs: Readonly<Record<string, string>>;
  readonly publisherInputs: Readonly<Record<string, string>>;
}

/** What stands where a confidential value is not told. */
export const mask = '********';

export function maskInputs(inputs: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return inputs['basicAuthPassword'] === undefined ? inputs : { ...inputs, basicAuthPassword: mask };
}
