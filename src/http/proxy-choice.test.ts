import { describe, expect, it } from 'vitest';
import { redact } from '../redaction.ts';
import { chooseProxy, hasProxy, type Environment } from './proxy-choice.ts';

const proxy = 'http://proxy.acme.dev:3128';

function choose(address: string, env: Environment): string | null {
  return chooseProxy(new URL(address), env)?.origin ?? null;
}

describe('F14: which proxy', () => {
  it.each<readonly [string, string, Environment, string | null]>([
    ['none is set', 'https://h.dev', {}, null],
    ['https', 'https://h.dev', { HTTPS_PROXY: proxy }, proxy],
    ['https in lower case', 'https://h.dev', { https_proxy: proxy }, proxy],
    ['lower case wins', 'https://h.dev', { https_proxy: proxy, HTTPS_PROXY: 'http://other:1' }, proxy],
    ['empty lower case does not', 'https://h.dev', { https_proxy: '', HTTPS_PROXY: proxy }, proxy],
    ['http', 'http://h.dev', { HTTP_PROXY: proxy }, proxy],
    ['http is not for https', 'https://h.dev', { HTTP_PROXY: proxy }, null],
    ['https is not for http', 'http://h.dev', { HTTPS_PROXY: proxy }, null],
    ['all', 'https://h.dev', { ALL_PROXY: proxy }, proxy],
    [
      'the own variable before all',
      'https://h.dev',
      { all_proxy: 'http://other:1', HTTPS_PROXY: proxy },
      proxy,
    ],
    ['without scheme', 'https://h.dev', { HTTPS_PROXY: 'proxy.acme.dev:3128' }, proxy],
    ['an https proxy', 'https://h.dev', { HTTPS_PROXY: 'https://p.dev' }, 'https://p.dev'],
    ['a path is nothing to a proxy', 'https://h.dev', { HTTPS_PROXY: `${proxy}/path` }, proxy],
    ['this machine', 'http://127.0.0.1:3000', { ALL_PROXY: proxy }, null],
    ['this machine by name', 'https://localhost:3000', { ALL_PROXY: proxy }, null],
    ['this machine, IPv6', 'http://[::1]:3000', { ALL_PROXY: proxy }, null],
  ])('%s', (_name, address, env, expected) => {
    expect(choose(address, env)).toBe(expected);
  });

  it.each<readonly [string, string, boolean]>([
    ['*', 'https://h.dev', true],
    ['h.dev', 'https://h.dev', true],
    ['H.DEV', 'https://h.dev', true],
    ['h.dev', 'https://git.h.dev', true],
    ['.h.dev', 'https://git.h.dev', true],
    ['.h.dev', 'https://h.dev', true],
    ['*.h.dev', 'https://git.h.dev', true],
    ['h.dev.', 'https://h.dev', true],
    ['h.dev', 'https://evilh.dev', false],
    ['h.dev', 'https://h.dev.evil.example', false],
    ['dev', 'https://h.dev', true],
    ['a.dev,h.dev', 'https://h.dev', true],
    ['a.dev, h.dev', 'https://h.dev', true],
    ['a.dev h.dev', 'https://h.dev', true],
    [',,', 'https://h.dev', false],
    ['h.dev:443', 'https://h.dev', true],
    ['h.dev:8443', 'https://h.dev', false],
    ['h.dev:8443', 'https://h.dev:8443', true],
    ['.h.dev:8443', 'https://git.h.dev:8443', true],
    ['h.dev:80', 'http://h.dev', true],
    ['10.0.0.1', 'https://10.0.0.1', true],
    ['0.0.1', 'https://10.0.0.1', false],
    ['10.0.0.0/8', 'https://10.0.0.1', false],
    ['[2001:db8::1]', 'https://[2001:db8::1]', true],
    ['2001:db8::1', 'https://[2001:db8::1]', true],
    ['[2001:db8::1]:8443', 'https://[2001:db8::1]:8443', true],
    ['[2001:db8::1]:8443', 'https://[2001:db8::1]', false],
    ['h.dev:', 'https://h.dev', false],
    ['*h.dev', 'https://xh.dev', false],
  ])('NO_PROXY=%s for %s exempts: %s', (list, address, isExempt) => {
    expect(choose(address, { HTTPS_PROXY: proxy, HTTP_PROXY: proxy, NO_PROXY: list })).toBe(
      isExempt ? null : proxy,
    );
    expect(choose(address, { ALL_PROXY: proxy, no_proxy: list, NO_PROXY: 'other' })).toBe(
      isExempt ? null : proxy,
    );
  });

  it('keeps its credentials secret', () => {
    const choice = chooseProxy(new URL('https://h.dev'), {
      HTTPS_PROXY: 'http://me:canary%40pass@p.dev:8080',
    });
    expect(choice?.authorization?.reveal()).toBe(`Basic ${Buffer.from('me:canary@pass').toString('base64')}`);
    expect(choice?.origin).toBe('http://p.dev:8080');
    expect(choice?.name).toBe('p.dev:8080');
    expect(JSON.stringify(choice)).not.toContain('canary');
    expect(redact('said canary@pass')).toBe('said [redacted]');
  });

  it.each(['socks5://canary:1', 'http://', '::canary', 'http://me:canary%zz@p.dev', 'http://a b'])(
    'refuses %j by the name of its variable only',
    (value) => {
      expect(() => choose('https://h.dev', { https_proxy: value })).toThrow(/https_proxy/);
      expect(() => choose('https://h.dev', { https_proxy: value })).toThrow(/^(?!.*canary)/);
    },
  );

  it('knows whether there is any', () => {
    expect(hasProxy({})).toBe(false);
    expect(hasProxy({ NO_PROXY: '*', HTTPS_PROXY: ' ' })).toBe(false);
    expect(hasProxy({ all_proxy: proxy })).toBe(true);
  });
});
