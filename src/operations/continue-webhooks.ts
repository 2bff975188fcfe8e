import { environmentId } from '../store/environment-records.ts';
import { quoteWord } from './quote-word.ts';
import type { RegenerateRequest } from './regenerate-webhooks.ts';

/** What of a request a person types again to continue it; the secret is stored by then. */
export type RequestWords = Pick<
  RegenerateRequest,
  'linkName' | 'mode' | 'target' | 'namespaces' | 'repositories' | 'onSecret' | 'verify' | 'concurrency'
>;

/** A run that is begun again goes on where the last one ended; over more than was asked for it would change more. */
export function sayHowToContinue(request: RequestWords): string {
  const { linkName, mode, target, namespaces, repositories, onSecret, verify, concurrency } = request;
  const isRotation = mode === 'rotate';
  // Nothing of the environment's link is kept, so that its secret has to be given again.
  const isKept = linkName !== environmentId;
  const words = [
    linkName,
    ...(isRotation ? [] : [`--${mode}`]),
    ...(isRotation && !isKept ? ['--secret-env', 'VARIABLE'] : []),
    ...(target.url === null ? [] : ['--url', target.url]),
    ...(target.events === null ? [] : ['--events', target.events.join(',')]),
    ...(target.at === null ? [] : ['--at', target.at]),
    ...(target.allowHttp ? ['--allow-http'] : []),
    ...namespaces.flatMap((each) => ['--namespace', each]),
    ...repositories.flatMap((each) => ['--repo', each]),
    ...(onSecret === null ? [] : ['--on-secret', onSecret]),
    ...(verify ? ['--verify'] : []),
    ...(concurrency === null ? [] : ['--concurrency', String(concurrency)]),
  ];
  const line = `gitlink regenerate-webhooks ${words.map(quoteWord).join(' ')}`;
  return `${isRotation ? 'To continue with the same secret' : 'To continue'}: ${line}`;
}
