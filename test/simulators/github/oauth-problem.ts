/** An error of the OAuth endpoints, which come with 200. */
export class OAuthProblem extends Error {
  readonly error: string;
  readonly more: Readonly<Record<string, unknown>>;

  constructor(error: string, description: string, more: Readonly<Record<string, unknown>> = {}) {
    super(description);
    this.error = error;
    this.more = more;
  }
}
