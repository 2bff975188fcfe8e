import {
  IncomingMessage,
  ServerResponse,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http';
import { Socket } from 'node:net';

/** What the authorization server is asked. */
interface Question {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly form?: Readonly<Record<string, string>>;
  /** Whether the real request came by https. */
  readonly isEncrypted: boolean;
}

/** What it said. */
export interface ServerWord {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
  readonly text: string;
}

/**
 * Asks a server of this process without a connection, so that its answer can be looked at and changed before
 * somebody gets it.
 */
export function askServer(
  serve: (request: IncomingMessage, response: ServerResponse) => void,
  question: Question,
): Promise<ServerWord> {
  const body = question.form === undefined ? '' : new URLSearchParams(question.form).toString();
  const socket = Object.assign(new Socket(), { encrypted: question.isEncrypted });
  const request = new IncomingMessage(socket);
  request.method = question.method;
  request.url = question.url;
  request.complete = true;
  Object.assign(request.headers, question.headers);
  delete request.headers['content-length'];
  delete request.headers['transfer-encoding'];
  if (question.form !== undefined) {
    request.headers['content-type'] = 'application/x-www-form-urlencoded';
    request.headers['content-length'] = String(Buffer.byteLength(body));
    request.push(body);
  }
  request.push(null);
  const response = new ServerResponse(request);
  return new Promise((resolve) => {
    response.end = (chunk?: unknown) => {
      const text = typeof chunk === 'string' || Buffer.isBuffer(chunk) ? chunk.toString() : '';
      resolve({ status: response.statusCode, headers: response.getHeaders(), text });
      return response;
    };
    serve(request, response);
  });
}
