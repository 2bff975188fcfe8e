import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';

/** The authorization header, taken apart. Simulators compare secrets; the request log never keeps them. */
export type SentAuthorization =
  | { readonly scheme: 'basic'; readonly username: string; readonly password: string }
  | { readonly scheme: 'bearer' | 'token'; readonly secret: string }
  | { readonly scheme: 'other' };

/** One request as a handler sees it. */
export interface SimulatorRequest {
  readonly method: string;
  /** Encoded, below the base path, without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** The values of the route's `{names}`, decoded. `*` holds what a final `*` matched. */
  readonly params: Readonly<Record<string, string>>;
  readonly headers: IncomingHttpHeaders;
  readonly authorization: SentAuthorization | null;
  /** Parsed JSON, a form as a record, other text as it is; `undefined` where there was no body. */
  readonly body: unknown;
  readonly incoming: IncomingMessage;
  /** Makes the test fail at its end: for what no real server would see from a correct gitlink. */
  recordFailure(this: void, message: string): void;
}

/** What a handler answers. Without `json` and `text` the body is empty. */
export interface PlainAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: unknown;
  readonly text?: string;
  /** Default: `text/plain` for `text`. */
  readonly contentType?: string;
}

/** An answer that the handler writes itself, for git's packs. Only for routes with `stream`. */
interface StreamedAnswer {
  readonly stream: (response: ServerResponse) => Promise<void>;
}

export type Answer = PlainAnswer | StreamedAnswer;

export interface Route {
  readonly method: string;
  /** As `/repos/{owner}/{repo}/hooks`; a `{name}` is one segment or part of one, a final `*` the rest. */
  readonly template: string;
  readonly handle: (request: SimulatorRequest) => Answer | Promise<Answer>;
  /** The body is left unread for the handler. */
  readonly stream?: boolean;
  /** Not in the provider's API description (OAuth, git, pages). */
  readonly undescribed?: boolean;
}

interface RouteMatch {
  readonly route: Route;
  readonly params: Readonly<Record<string, string>>;
}

interface CompiledRoute {
  readonly route: Route;
  readonly pattern: RegExp;
  readonly names: readonly string[];
}

export type FindRoute = (method: string, path: string) => RouteMatch | 'wrong-method' | undefined;

/**
 * Builds the lookup of a simulator. Of several routes that match, the one registered first answers.
 * HEAD is answered by the GET route, as web servers do.
 */
export function createRouter(routes: readonly Route[]): FindRoute {
  const compiled = routes.map(compileRoute);
  return (method, path) => {
    const wanted = method === 'HEAD' ? 'GET' : method;
    let isPathKnown = false;
    for (const { route, pattern, names } of compiled) {
      const match = pattern.exec(path);
      if (!match) continue;
      isPathKnown = true;
      if (route.method !== wanted) continue;
      return {
        route,
        params: Object.fromEntries(names.map((name, index) => [name, decode(match[index + 1] ?? '')])),
      };
    }
    return isPathKnown ? 'wrong-method' : undefined;
  };
}

function compileRoute(route: Route): CompiledRoute {
  const names: string[] = [];
  const source = route.template.replace(/\{(\w+)\}|\*$|[.+?^$()|[\]\\]/g, (part, name?: string) => {
    if (name !== undefined) {
      names.push(name);
      return '([^/]+?)';
    }
    if (part !== '*') return `\\${part}`;
    names.push('*');
    return '(.*)';
  });
  return { route, pattern: new RegExp(`^${source}$`), names };
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

/** Reads an authorization header; `null` where none was sent. */
export function parseAuthorization(header: string | undefined): SentAuthorization | null {
  if (header === undefined) return null;
  const [scheme = '', value = '', ...rest] = header.trim().split(/\s+/);
  const lowerScheme = scheme.toLowerCase();
  if (rest.length > 0 || value === '') return { scheme: 'other' };
  if (lowerScheme === 'bearer' || lowerScheme === 'token') return { scheme: lowerScheme, secret: value };
  if (lowerScheme !== 'basic') return { scheme: 'other' };
  const pair = Buffer.from(value, 'base64').toString();
  const colon = pair.indexOf(':');
  if (colon < 0) return { scheme: 'other' };
  return { scheme: 'basic', username: pair.slice(0, colon), password: pair.slice(colon + 1) };
}
