import * as v from 'valibot';
import { InternalError } from '../errors.ts';

/**
 * Narrows an answer to what gitlink reads of it.
 *
 * @param what - What was asked for, for the message.
 * @throws InternalError when the host answered in another shape than its product does.
 */
export function narrow<Schema extends v.GenericSchema>(
  schema: Schema,
  body: unknown,
  what: string,
): v.InferOutput<Schema> {
  const result = v.safeParse(schema, body);
  if (result.success) return result.output;
  const path = v.getDotPath(result.issues[0]) ?? '';
  throw new InternalError(
    `The host's description of ${what} cannot be read${path ? ` (field ${path})` : ''}.`,
    { hint: 'Is the host newer than gitlink? Update gitlink, or report this.' },
  );
}
