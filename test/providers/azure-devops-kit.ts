import { onTestFinished } from 'vitest';
import { azureDevopsProvider } from '../../src/providers/azure-devops/index.ts';
import type { HostAccess } from '../../src/providers/provider.ts';
import type { WebhookAdmin, WebhookPlace } from '../../src/providers/webhook-support.ts';
import {
  startAzureDevopsSimulator,
  type AzureDevopsSimulator,
  type AzureDevopsSimulatorOptions,
} from '../simulators/azure-devops/server.ts';
import { requireRepository } from '../simulators/azure-devops/state.ts';
import type { NewEntraToken, NewPat } from '../simulators/azure-devops/token-state.ts';
import { createSession, findRepository, requireWebhooks, type Session } from './provider-kit.ts';

export const provider = azureDevopsProvider;
export const admin: WebhookAdmin = requireWebhooks(azureDevopsProvider);

/** The repository that most tests take, in a project whose name has a space and a letter outside ASCII. */
export const strangeName = 'acme/Straße Süd/api';

/** Starts a simulated Azure DevOps for one test; at its end it is closed and must not have met anything strange. */
export async function startAzureDevops(
  options: AzureDevopsSimulatorOptions = {},
): Promise<AzureDevopsSimulator> {
  const azure = await startAzureDevopsSimulator(options);
  onTestFinished(async () => {
    await azure.close();
    azure.assertNoFailures();
  });
  return azure;
}

export interface LinkedAzureDevops {
  readonly azure: AzureDevopsSimulator;
  readonly session: Session;
  readonly access: Awaited<ReturnType<Session['link']>>;
  readonly secret: string;
}

/** An Azure DevOps with a verified personal access token: ada's for acme, unless told otherwise. */
export async function linkAzureDevops(
  options: AzureDevopsSimulatorOptions = {},
  token: NewPat = {},
): Promise<LinkedAzureDevops> {
  const azure = await startAzureDevops(options);
  const session = createSession(provider, token.organization ?? 'acme');
  const { secret } = azure.addToken(token);
  return { azure, session, secret, access: await session.link(azure.url, secret) };
}

/** The way of a token of Entra, verified. */
export async function linkEntra(
  { azure, session }: Pick<LinkedAzureDevops, 'azure' | 'session'>,
  kind: string,
  token: NewEntraToken = {},
): Promise<Awaited<ReturnType<Session['link']>>> {
  const found = await provider.recognise(azure.url, session.open(azure.url, null).http, 'acme');
  const { secret } = azure.addEntraToken(token);
  const access = session.open(azure.url, secret, { ...found, kind });
  const identity = await provider.identify(access);
  return { ...access, account: identity.account, identity };
}

/** The place of a repository's webhooks. */
export async function placeOf(access: HostAccess, fullName: string): Promise<WebhookPlace> {
  return { level: 'repository', repository: await findRepository(provider, access, fullName) };
}

/** The hooks of a repository as the host has them. */
export function hooksAt(azure: AzureDevopsSimulator, fullName: string) {
  const { guid, project } = requireRepository(azure.state, fullName);
  return azure
    .hooksOf(`${project.organization.name}/${project.name}`)
    .filter(({ publisherInputs }) => publisherInputs['repository'] === guid);
}

/** The request with which a test can tell what was sent: method and path below the organization. */
export function listRequests(azure: AzureDevopsSimulator, method: string, part: string): readonly string[] {
  return azure.requests
    .filter((request) => request.method === method && request.path.includes(part))
    .map(({ path }) => path);
}
