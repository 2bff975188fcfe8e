import { ForeignAnswerError } from '../errors.ts';
import { toPrintable } from '../printable.ts';
import type { HostResponse } from './host-client.ts';
import { parseJson } from './safe-json.ts';
import type { RawAnswer } from './send-once.ts';

/**
 * Reads the JSON of an answer.
 *
 * @param raw - The answer as it came.
 * @param where - Origin, method and path template, for the error.
 * @param isStrict - Whether anything but JSON is a fault; otherwise it gives a `null` body.
 * @throws ForeignAnswerError for a web page or broken JSON; it never quotes them.
 */
export function readAnswer(raw: RawAnswer, where: string, isStrict: boolean): HostResponse {
  const { status, headers, text } = raw;
  if (text.trim() === '') return { status, headers, body: null };
  const mediaType = (headers.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  if (!/^application\/(?:[\w.-]{1,60}\+)?json$/.test(mediaType)) {
    if (isStrict) throw createWrongTypeError(mediaType, where);
    return { status, headers, body: null };
  }
  const parsed = parseJson(text);
  if (parsed.ok) return { status, headers, body: parsed.value };
  if (isStrict) throw new ForeignAnswerError(`${where} was answered with ${parsed.problem}.`);
  return { status, headers, body: null };
}

function createWrongTypeError(mediaType: string, where: string): ForeignAnswerError {
  const hint = 'Check the address, and open it in a browser to see what answers there.';
  if (mediaType === 'text/html' || mediaType === 'application/xhtml+xml') {
    return new ForeignAnswerError(
      `${where} was answered with a web page instead of data: a proxy or a sign-in page is in between, or this is no API.`,
      { hint },
    );
  }
  const what = mediaType === '' ? 'data of no stated type' : toPrintable(mediaType, 60);
  return new ForeignAnswerError(`${where} was answered with ${what} instead of JSON.`, { hint });
}
