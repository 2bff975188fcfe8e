import type { SearchContext } from './find-executable.ts';

/** Variables that git, curl and ssh need; everything else, tokens of other programs above all, stays here. */
const passedVariables: ReadonlySet<string> = new Set([
  ...[
    'HOME',
    'PATH',
    'USER',
    'LOGNAME',
    'LANG',
    'LANGUAGE',
    'TZ',
    'TMPDIR',
    'XDG_CONFIG_HOME',
    'XDG_RUNTIME_DIR',
  ],
  ...['USERPROFILE', 'HOMEDRIVE', 'HOMEPATH', 'USERNAME', 'SYSTEMROOT', 'SYSTEMDRIVE', 'WINDIR', 'COMSPEC'],
  ...['TEMP', 'TMP', 'APPDATA', 'LOCALAPPDATA', 'PROGRAMDATA', 'PROGRAMFILES', 'PATHEXT', 'MSYSTEM'],
  ...[
    'HTTP_PROXY',
    'HTTPS_PROXY',
    'ALL_PROXY',
    'NO_PROXY',
    'SSL_CERT_FILE',
    'SSL_CERT_DIR',
    'CURL_CA_BUNDLE',
  ],
  ...['SSH_AUTH_SOCK', 'SSH_AGENT_PID', 'GNUPGHOME'],
]);

/** git's own settings, but no traces (they would mix with its output and may hold headers) and no secrets. */
const passedGitVariable = /^GIT_(?!TRACE|ASKPASS$|TERMINAL_PROMPT$|.*(?:TOKEN|PASSWORD|SECRET))/;

/** What git sees of the environment: what it needs, and no prompt. */
export function toGitEnvironment({ env, platform }: SearchContext): Record<string, string | undefined> {
  const passed = Object.entries(env).filter(([name]) => {
    const upper = name.toUpperCase();
    return passedVariables.has(upper) || upper.startsWith('LC_') || passedGitVariable.test(upper);
  });
  return {
    ...Object.fromEntries(passed),
    GIT_TERMINAL_PROMPT: '0',
    // Set but empty, it also switches off core.askPass and SSH_ASKPASS.
    GIT_ASKPASS: '',
    ...(platform === 'win32' && { NoDefaultCurrentDirectoryInExePath: '1' }),
  };
}
