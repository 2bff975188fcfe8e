import { UnsupportedError } from '../errors.ts';
import type { Secret } from '../secret.ts';
import type { LinkRecord } from '../store/link-schema.ts';
import { recordUsage } from '../store/usage-log.ts';
import type { OperationContext } from './context.ts';
import { requireProvider } from './link-faults.ts';
import { readCurrentSecret, readPreviousSecret } from './rotation-secret.ts';

/** Which webhook secret is wanted, and how. */
export interface WebhookSecretWish {
  /** Whether it is the one before the rotation that is under way. */
  readonly isPrevious: boolean;
  /** Whether it is wanted in the form that the host signs deliveries with. */
  readonly isForSigning: boolean;
}

/**
 * Gives out the secret of a link's webhooks for their receiver, and notes that.
 *
 * @throws NotFoundError where there is no such secret; UnsupportedError where the host signs with the secret as it
 * is, or not at all, and another form is wanted.
 */
export async function handOutWebhookSecret(
  context: OperationContext,
  link: LinkRecord,
  { isPrevious, isForSigning }: WebhookSecretWish,
): Promise<Secret> {
  const stored = isPrevious
    ? await readPreviousSecret(context, link)
    : (await readCurrentSecret(context, link)).value;
  const secret = isForSigning ? toSigningSecret(link, stored) : stored;
  recordUsage(context.directories.state, {
    linkId: link.id,
    at: context.clock.now(),
    by: 'webhook-secret',
    path: null,
  });
  return secret;
}

function toSigningSecret(link: LinkRecord, secret: Secret): Secret {
  const provider = requireProvider(link);
  const signing = provider.webhooks?.toSigningSecret?.(secret) ?? null;
  if (signing !== null) return signing;
  throw new UnsupportedError(
    `${provider.displayName} signs with the secret as it is, or this one cannot sign.`,
    {
      hint: `Without --signing: gitlink webhook-secret ${link.name}`,
    },
  );
}
