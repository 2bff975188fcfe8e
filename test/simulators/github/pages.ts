import type { PlainAnswer } from '../routes.ts';

/** The person before the browser. Mutable, so that a test can change its mind. */
export interface BrowserPerson {
  /** Default `ada`. */
  signedInAs: string;
  /** Default `ask`: pages with buttons. */
  consent: 'ask' | 'approve' | 'deny';
}

export function answerPage(status: number, title: string, body: string): PlainAnswer {
  return {
    status,
    text: `<!doctype html><link rel="icon" href="data:,"><title>${title} · GitHub</title><h1>${title}</h1>${body}`,
    contentType: 'text/html; charset=utf-8',
  };
}

/** What the web part says to an address that it does not know, or does not show. */
export function answerAbsentPage(): PlainAnswer {
  return answerPage(404, 'Page not found', '<p>This is not the web page you are looking for.</p>');
}

export function escape(text: string): string {
  return text.replace(/[<>&"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
