import { roleOf } from './access.ts';
import { isRecord, refuse, type Call, type Refusal } from './call.ts';
import { mask, subscriptionStatuses, type SubscriptionStatus } from './hook-state.ts';
import { findProject, findRepository, isGuid, type AzureDevopsProject } from './state.ts';

/** A subscription as somebody sent it. */
export interface SentSubscription {
  readonly project: AzureDevopsProject;
  readonly eventType: string;
  readonly resourceVersion: string;
  readonly publisherInputs: Readonly<Record<string, string>>;
  readonly consumerInputs: Readonly<Record<string, string>>;
  readonly status: SubscriptionStatus | null;
}

/** Of each event: what may narrow it beside the project (`GET publishers/tfs/eventtypes`). */
const inputsOfEvent: Readonly<Record<string, readonly string[]>> = {
  'git.push': ['repository', 'branch', 'pushedBy'],
  'git.pullrequest.created': ['repository', 'branch', 'pullrequestCreatedBy', 'pullrequestReviewersContains'],
  'git.pullrequest.updated': [
    'repository',
    'branch',
    'notificationType',
    'pullrequestCreatedBy',
    'pullrequestReviewersContains',
  ],
  'git.pullrequest.merged': [
    'repository',
    'branch',
    'mergeResult',
    'pullrequestCreatedBy',
    'pullrequestReviewersContains',
  ],
  'ms.vss-code.git-pullrequest-comment-event': ['repository', 'branch'],
  'git.repo.created': [],
  'git.repo.deleted': ['repository'],
  'git.repo.forked': ['repository'],
  'git.repo.renamed': ['repository'],
  'git.repo.statuschanged': ['repository'],
  'build.complete': ['definitionName', 'buildStatus'],
  'workitem.created': ['areaPath', 'workItemType'],
};

/** What the service adds to the inputs; sending it back does no harm. */
const ownInputs = ['hostId', 'tfsSubscriptionId'];

const detailWords = ['all', 'minimal', 'none', ''];
const messageWords = ['all', 'text', 'html', 'markdown', 'none', ''];

/** What `GET consumers/webHooks` says of its inputs. */
const consumerRules: Readonly<Record<string, (value: string) => boolean>> = {
  url: () => true,
  basicAuthUsername: (value) => value.length <= 256 && !/\s/.test(value),
  basicAuthPassword: (value) => value.length <= 256 && !/\s/.test(value),
  httpHeaders: (value) => value.split('\n').every((line) => /^[^\s:]+:[^\s]*$/.test(line)),
  resourceDetailsToSend: (value) => detailWords.includes(value),
  messagesToSend: (value) => messageWords.includes(value),
  detailedMessagesToSend: (value) => messageWords.includes(value),
  acceptUntrustedCerts: (value) => /^(true|false)$/i.test(value),
};

function refuseInput(input: string, words: string): Refusal {
  return refuse(400, 'SubscriptionInputException', `Subscription input '${input}' is not valid: ${words}`);
}

/**
 * Reads a subscription, or the part of a test notification that describes one.
 *
 * @throws Refusal 400 that names what is wrong.
 */
export function readSubscription(call: Call, body: unknown): SentSubscription {
  const { request } = call;
  if (!isRecord(body)) throw refuse(400, 'JsonReaderException', 'The body is no JSON object.');
  const fixed = { publisherId: 'tfs', consumerId: 'webHooks', consumerActionId: 'httpRequest' };
  for (const [name, value] of Object.entries(fixed)) {
    if (body[name] !== value) {
      throw refuse(
        400,
        'SubscriptionInputException',
        `${name} should be ${value}, which is all there is here.`,
      );
    }
  }
  const eventType = body['eventType'];
  const known = typeof eventType === 'string' ? inputsOfEvent[eventType] : undefined;
  if (typeof eventType !== 'string' || known === undefined) {
    throw refuse(
      400,
      'SubscriptionInputException',
      `Event type ${JSON.stringify(eventType)} is not supported.`,
    );
  }
  const publisherInputs = readInputs(body, 'publisherInputs');
  const consumerInputs = readInputs(body, 'consumerInputs');
  for (const name of Object.keys(publisherInputs)) {
    if (!['projectId', ...known, ...ownInputs].includes(name)) {
      request.recordFailure(`"${name}" is no input of the event ${eventType}`);
    }
  }
  const project = readProject(call, publisherInputs);
  judgeConsumer(call, consumerInputs);
  return {
    project,
    eventType,
    resourceVersion: typeof body['resourceVersion'] === 'string' ? body['resourceVersion'] : '1.0',
    publisherInputs: Object.fromEntries(
      Object.entries(publisherInputs).filter(([name]) => !ownInputs.includes(name)),
    ),
    consumerInputs,
    status: readStatus(body),
  };
}

function readInputs(body: Readonly<Record<string, unknown>>, name: string): Readonly<Record<string, string>> {
  const inputs = body[name] ?? {};
  if (!isRecord(inputs)) throw refuse(400, 'JsonReaderException', `${name} is no object.`);
  for (const [input, value] of Object.entries(inputs)) {
    if (typeof value !== 'string') throw refuseInput(input, 'inputs are strings, also numbers and booleans.');
  }
  return inputs as Readonly<Record<string, string>>;
}

function readProject(
  call: Call,
  { projectId = '', repository = '' }: Readonly<Record<string, string>>,
): AzureDevopsProject {
  if (projectId === '') throw refuseInput('projectId', 'a value is required.');
  if (!isGuid(projectId)) throw refuseInput('projectId', 'it should be a GUID.');
  const project = findProject(call.organization, projectId);
  if (!project || roleOf(call.actor, project) === null) {
    throw refuseInput('projectId', 'there is no such project.');
  }
  if (repository === '') return project;
  if (!isGuid(repository) || !findRepository(project, repository)) {
    throw refuseInput('repository', 'there is no such repository in the project.');
  }
  return project;
}

function readStatus({ status }: Readonly<Record<string, unknown>>): SubscriptionStatus | null {
  if (status === undefined || status === null) return null;
  const known = subscriptionStatuses.find((one) => one === status);
  if (!known) throw refuse(400, 'SubscriptionInputException', 'There is no such status.');
  return known;
}

function judgeConsumer({ request, settings }: Call, inputs: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(inputs)) {
    const isRight = consumerRules[name];
    if (!isRight) request.recordFailure(`"${name}" is no input of web hooks`);
    else if (!isRight(value)) throw refuseInput(name, 'the value does not match what is allowed.');
  }
  if (inputs['basicAuthPassword'] === mask) {
    request.recordFailure('the mask of a secret was sent as the secret: it is the password now');
  }
  const url = URL.canParse(inputs['url'] ?? '') ? new URL(inputs['url'] ?? '') : undefined;
  if (!url || !['http:', 'https:'].includes(url.protocol)) throw refuseInput('url', 'it is no web address.');
  if (settings.allowsLoopback && loopbackHosts.includes(url.hostname)) return;
  if (internalHost.test(url.hostname)) {
    throw refuseInput('url', `'${url.hostname}' is a local or special address, which is not allowed.`);
  }
  const hasPassword =
    Boolean(inputs['basicAuthUsername'] ?? '') || Boolean(inputs['basicAuthPassword'] ?? '');
  if (url.protocol === 'http:' && hasPassword) {
    throw refuseInput('url', 'basic authentication needs HTTPS.');
  }
}

const loopbackHosts = ['127.0.0.1', '[::1]', 'localhost'];
/** Addresses that lead nowhere outside. */
const internalHost =
  /^(0\.|10\.|127\.|169\.254\.|172\.(1[6-9]|2\d|3[01])\.|192\.168\.|\[(::1?\]|f[cd]|fe80)|localhost$)|\.(local|localhost)$/;
