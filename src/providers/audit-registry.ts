import type { AuditSupport } from './audit-support.ts';
import { audit as azureDevops } from './azure-devops/audit.ts';
import { audit as bitbucketDc } from './bitbucket-dc/audit.ts';
import { audit as bitbucket } from './bitbucket/audit.ts';
import { audit as gitea } from './gitea/audit.ts';
import { audit as github } from './github/audit.ts';
import { audit as gitlab } from './gitlab/audit.ts';
import type { ProviderId } from './provider.ts';

/** What each provider knows for an audit; apart from the registry, because nothing else loads it. */
export const auditSupports: Readonly<Partial<Record<ProviderId, AuditSupport>>> = {
  'azure-devops': azureDevops,
  bitbucket,
  'bitbucket-dc': bitbucketDc,
  gitea,
  github,
  gitlab,
};
