import type * as Inquirer from './inquirer.ts';
import { CancelledError, UsageError } from '../errors.ts';
import { toPrintable } from '../printable.ts';
import { Secret } from '../secret.ts';

/** Questions to a person. Every question names the flag that answers it where there is no terminal. */
export interface Prompter {
  /** Whether there is someone to ask. */
  readonly canAsk: boolean;
  /** @param signal - Takes the question back, where the answer came in another way. */
  ask(question: string, flag: string, usual?: string, signal?: AbortSignal): Promise<string>;
  /** Asks without showing what is typed. */
  askSecret(question: string, flag: string): Promise<Secret>;
  /** Without a terminal, or with `--yes`, the usual answer. */
  confirm(question: string, usual: boolean): Promise<boolean>;
  choose(question: string, choices: readonly Choice[], flag: string): Promise<string>;
  /** A searchable checklist. */
  chooseMany(question: string, choices: readonly Choice[], chosen: readonly string[]): Promise<string[]>;
}

export interface Choice {
  readonly value: string;
  readonly label: string;
}

export interface PrompterOptions {
  /** The streams are opened only for a question: that costs time. */
  readonly openStreams: () => PromptStreams;
  readonly canAsk: boolean;
  readonly saysYes: boolean;
  /** Takes a status line away before a question appears. */
  readonly clear: () => void;
}

export interface PromptStreams {
  readonly input: NodeJS.ReadStream;
  readonly output: NodeJS.WriteStream;
}

export function createPrompter(options: PrompterOptions): Prompter {
  const { canAsk, saysYes } = options;

  /** Loads the prompts only when something is asked. */
  async function prompt<T>(
    work: (library: typeof Inquirer, streams: PromptStreams) => Promise<T>,
    flag: string,
  ): Promise<T> {
    if (!canAsk) {
      throw new UsageError(`An answer is needed and there is no terminal to ask in.`, {
        hint: `Give it by ${flag}`,
      });
    }
    options.clear();
    try {
      return await work(await import('./inquirer.ts'), options.openStreams());
    } catch (error) {
      // Ctrl-C, or a question that was taken back.
      if (error instanceof Error && /^(?:Exit|Abort)PromptError$/.test(error.name))
        throw new CancelledError();
      throw error;
    }
  }

  return {
    canAsk,
    ask: (message, flag, usual, signal) =>
      prompt(async ({ input }, streams) => {
        const answer = await input(
          { message, required: true, ...(usual === undefined ? {} : { default: usual }) },
          { ...streams, ...(signal ? { signal, clearPromptOnDone: true } : {}) },
        );
        return answer.trim();
      }, flag),
    askSecret: (message, flag) =>
      prompt(
        async ({ password }, streams) =>
          new Secret((await password({ message, mask: '*', toggleMask: false }, streams)).trim()),
        flag,
      ),
    confirm: async (message, usual) => {
      if (saysYes) return true;
      if (!canAsk) return usual;
      return prompt(({ confirm }, streams) => confirm({ message, default: usual }, streams), '--yes');
    },
    choose: (message, choices, flag) =>
      prompt(
        ({ select }, streams) =>
          select(
            { message, choices: choices.map(({ value, label }) => ({ value, name: toPrintable(label) })) },
            streams,
          ),
        flag,
      ),
    chooseMany: (message, choices, chosen) =>
      prompt(async ({ search }, streams) => {
        const selected = new Set(chosen);
        const done = '\u0000done';
        for (;;) {
          const answer = await search(
            {
              message,
              pageSize: 12,
              source: (term) => toSearchChoices(choices, selected, term ?? '', done),
            },
            // One line for the whole checklist, not one for every tick. The next question begins at "Done", so
            // that a name, Enter, another name, Enter, and Enter is all that it takes.
            { ...streams, clearPromptOnDone: true },
          );
          if (answer === done)
            return choices.map(({ value }) => value).filter((value) => selected.has(value));
          if (!selected.delete(answer)) selected.add(answer);
        }
      }, 'positional arguments'),
  };
}

/** The checklist as the search prompt shows it: Enter ticks, the first line ends. */
function toSearchChoices(
  choices: readonly Choice[],
  selected: ReadonlySet<string>,
  term: string,
  done: string,
): { value: string; name: string }[] {
  const wanted = term.toLowerCase();
  const found = choices.filter(({ label }) => label.toLowerCase().includes(wanted));
  return [
    ...(wanted === '' ? [{ value: done, name: `Done (${selected.size} chosen)` }] : []),
    ...found.map(({ value, label }) => ({
      value,
      name: `${selected.has(value) ? '[x]' : '[ ]'} ${toPrintable(label)}`,
    })),
  ];
}
