import { registerAudit } from './commands/audit.ts';
import { registerClient } from './commands/client.ts';
import { registerCompletion } from './commands/completion.ts';
import { registerConfig } from './commands/config.ts';
import { registerCredential } from './commands/credential.ts';
import { registerDoctor } from './commands/doctor.ts';
import { registerExec } from './commands/exec.ts';
import { registerExplain } from './commands/explain.ts';
import { registerLink } from './commands/link.ts';
import { registerList } from './commands/list.ts';
import { registerRegenerateWebhooks } from './commands/regenerate-webhooks.ts';
import { registerRelink } from './commands/relink.ts';
import { registerRename } from './commands/rename.ts';
import { registerRepos } from './commands/repos.ts';
import { registerRestrict } from './commands/restrict.ts';
import { registerRotate } from './commands/rotate.ts';
import { registerSetupGit } from './commands/setup-git.ts';
import { registerShow } from './commands/show.ts';
import { registerToken } from './commands/token.ts';
import { registerUnlink } from './commands/unlink.ts';
import { registerWebhookSecret } from './commands/webhook-secret.ts';
import type { Cli } from './program.ts';

/** Every command, in the order of the help. */
export const commandTable: Readonly<Record<string, (cli: Cli) => void>> = {
  link: registerLink,
  list: registerList,
  show: registerShow,
  restrict: registerRestrict,
  repos: registerRepos,
  'regenerate-webhooks': registerRegenerateWebhooks,
  'webhook-secret': registerWebhookSecret,
  relink: registerRelink,
  rotate: registerRotate,
  rename: registerRename,
  unlink: registerUnlink,
  token: registerToken,
  exec: registerExec,
  'setup-git': registerSetupGit,
  explain: registerExplain,
  credential: registerCredential,
  client: registerClient,
  config: registerConfig,
  audit: registerAudit,
  doctor: registerDoctor,
  completion: registerCompletion,
};
