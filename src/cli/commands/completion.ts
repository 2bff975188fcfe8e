import { Argument } from 'commander';
import { describeSetup, shells, writeShellScript, type Shell } from '../completion/shell-scripts.ts';
import { createCommand, type Cli } from '../program.ts';

export function registerCompletion(cli: Cli): void {
  createCommand(cli, 'completion', 'Let your shell complete commands, flags and link names', [
    ['source <(gitlink completion bash)', 'for this shell; the same line in ~/.bashrc for every one'],
    ['source <(gitlink completion zsh)', 'the same line in ~/.zshrc, after compinit'],
    ['gitlink completion fish > ~/.config/fish/completions/gitlink.fish', 'for every fish'],
    ['gitlink completion powershell | Out-String | Invoke-Expression', 'the same line in $PROFILE'],
  ])
    .addArgument(new Argument('<shell>', 'the shell that prints it').choices(shells))
    .action((shell: Shell) =>
      cli.run('completion', ({ output, runtime }) => {
        const script = writeShellScript(shell);
        output.document({ shell, script });
        if (!output.isJson) runtime.stdout.write(script);
        // A person who looks at the script may wonder what to do with it; a pipe is what to do with it.
        if (output.isTerminal) output.talk(`To use it: ${describeSetup(shell)}`);
        return Promise.resolve();
      }),
    );
}
