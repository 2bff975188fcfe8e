import { completionWord } from '../program.ts';

export const shells = ['bash', 'zsh', 'fish', 'powershell', 'pwsh'] as const;
export type Shell = (typeof shells)[number];

/** What a person adds to their shell, by one line that {@link describeSetup} names. */
export function writeShellScript(shell: Shell): string {
  return scripts[shell];
}

/** The line that makes completion permanent. */
export function describeSetup(shell: Shell): string {
  return setups[shell];
}

const setups: Readonly<Record<Shell, string>> = {
  bash: 'source <(gitlink completion bash)    in ~/.bashrc',
  zsh: 'source <(gitlink completion zsh)    in ~/.zshrc, after compinit',
  fish: 'gitlink completion fish > ~/.config/fish/completions/gitlink.fish',
  powershell: 'gitlink completion powershell | Out-String | Invoke-Expression    in $PROFILE',
  pwsh: 'gitlink completion pwsh | Out-String | Invoke-Expression    in $PROFILE',
};

const bash = `# bash completion of gitlink (bash 4 or newer). In ~/.bashrc: source <(gitlink completion bash)
_gitlink() {
  local line paths=''
  COMPREPLY=()
  while IFS= read -r line; do
    case $line in
      :*) paths=\${line#:} ;;
      *) COMPREPLY+=("\${line%%$'\\t'*}") ;;
    esac
  done < <(command gitlink ${completionWord} $((COMP_CWORD - 1)) "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null </dev/null)
  case $paths in
    files) compopt -o default 2>/dev/null ;;
    directories) compopt -o dirnames 2>/dev/null ;;
  esac
}
complete -F _gitlink gitlink
`;

const zsh = `#compdef gitlink
# zsh completion of gitlink. In ~/.zshrc, after compinit: source <(gitlink completion zsh)
_gitlink() {
  local line value paths=''
  local -a found
  for line in "\${(@f)$(command gitlink ${completionWord} $((CURRENT - 2)) "\${(@Q)words[2,CURRENT]}" 2>/dev/null </dev/null)}"; do
    case $line in
      '') ;;
      :*) paths=\${line#:} ;;
      *)
        value=\${line%%$'\\t'*}
        found+=("\${value//:/\\\\:}:\${line#*$'\\t'}")
        ;;
    esac
  done
  if [[ -n $paths ]]; then
    compset -P '--*='
    if [[ $paths == directories ]]; then _files -/; else _files; fi
  elif (( $#found )); then
    _describe -t gitlink gitlink found
  fi
}
if [[ $funcstack[1] == _gitlink ]]; then
  _gitlink "$@"
else
  compdef _gitlink gitlink
fi
`;

const fish = `# fish completion of gitlink: gitlink completion fish > ~/.config/fish/completions/gitlink.fish
function __gitlink_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l plain (string unescape -- "$current"); and set current $plain
    set -l index (math (count $words) - 1)
    set -l stem (string match -r '^--[^=]*=' -- "$current")
    set -l typed (string replace -r '^--[^=]*=' '' -- "$current")
    for line in (command gitlink ${completionWord} $index $words[2..-1] "$current" 2>/dev/null </dev/null)
        switch $line
            case ':files'
                for path in (__fish_complete_path "$typed")
                    printf '%s%s\\n' "$stem" $path
                end
            case ':directories'
                for path in (__fish_complete_directories "$typed" '')
                    printf '%s%s\\n' "$stem" $path
                end
            case '*'
                printf '%s\\n' $line
        end
    end
end
complete -c gitlink -f -a '(__gitlink_complete)'
`;

/** An empty last word is left out, because Windows PowerShell drops empty arguments. */
const powershell = `# PowerShell completion of gitlink. In $PROFILE: gitlink completion powershell | Out-String | Invoke-Expression
Register-ArgumentCompleter -Native -CommandName 'gitlink' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $words = @($commandAst.CommandElements | Select-Object -Skip 1 | Where-Object {
        $_.Extent.StartOffset -lt $cursorPosition
    } | ForEach-Object {
        if ($_ -is [System.Management.Automation.Language.StringConstantExpressionAst]) { $_.Value } else { $_.ToString() }
    })
    $index = $words.Count
    if ($wordToComplete -ne '') { $index -= 1 }
    & gitlink ${completionWord} $index @words 2>$null | Where-Object { $_ -notlike ':*' } | ForEach-Object {
        $value, $about = $_ -split "\`t", 2
        if (-not $about) { $about = $value }
        [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $about)
    }
}
`;

const scripts: Readonly<Record<Shell, string>> = { bash, zsh, fish, powershell, pwsh: powershell };
