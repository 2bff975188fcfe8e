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
  /**
   * Asks without showing what is typed.
   *
   * @param ifEmpty - What a person is told who types nothing, and is asked again; without it nothing is an answer.
   */
  askSecret(question: string, flag: string, ifEmpty?: string): Promise<Secret>;
  /** Without a terminal, or with `--yes`, the usual answer. */
  confirm(question: string, usual: boolean): Promise<boolean>;
  choose(question: string, choices: readonly Choice[], flag: string): Promise<string>;
  /** A searchable checklist, shown until at least one of the choices, of which there must be some, is ticked. */
  chooseMany(question: string, choices: readonly Choice[], options: ChecklistOptions): Promise<string[]>;
}

export interface ChecklistOptions {
  /** What is ticked to begin with. */
  readonly chosen: readonly string[];
  /** What a person is told who ends it with nothing ticked. */
  readonly ifNone: string;
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
    askSecret: (message, flag, ifEmpty) =>
      prompt(async ({ password }, streams) => {
        const validate = (text: string): string | true =>
          ifEmpty === undefined || text.trim() !== '' || ifEmpty;
        return new Secret(
          (await password({ message, mask: '*', toggleMask: false, validate }, streams)).trim(),
        );
      }, flag),
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
    chooseMany: (message, choices, { chosen, ifNone }) =>
      prompt(async ({ search }, streams) => {
        const selected = new Set(chosen);
        const space = createSpaceKey(choices);
        let advice = '';
        let start = done;
        streams.input.prependListener('keypress', space.read);
        try {
          for (;;) {
            const answer = await search(
              {
                message: `${message} (space or Enter ticks, "Done" ends)`,
                pageSize: 12,
                default: start,
                source: (term = '') => {
                  space.begin(term);
                  return toSearchChoices(choices, selected, term, advice);
                },
              },
              // One line for the whole checklist, not one for every tick.
              { ...streams, clearPromptOnDone: true },
            );
            // After Enter the next question begins at "Done", so that a name, Enter, another name, Enter, and Enter
            // is all that it takes; space walks down a list and stays where it is.
            start = space.wasPressed() ? answer : done;
            if (answer !== done) {
              if (!selected.delete(answer)) selected.add(answer);
            } else if (selected.size === 0) {
              advice = ifNone;
            } else if (!space.wasPressed()) {
              return choices.map(({ value }) => value).filter((value) => selected.has(value));
            }
          }
        } finally {
          streams.input.removeListener('keypress', space.read);
        }
      }, 'positional arguments'),
  };
}

/** The value of the line that ends a checklist. */
const done = '\u0000done';

/** The space key of a checklist. */
interface SpaceKey {
  /** Hears what is searched for; a new question begins with nothing. */
  readonly begin: (term: string) => void;
  readonly read: (text: string | undefined, key: { name?: string }) => void;
  /** Whether it, not Enter, gave the last answer. */
  readonly wasPressed: () => boolean;
}

/**
 * The search prompt knows Enter alone, so that space is handed to it as Enter; but for a space that some choice has
 * there, which is searched for.
 */
function createSpaceKey(choices: readonly Choice[]): SpaceKey {
  let term = '';
  let wasPressed = false;
  return {
    begin: (searched) => {
      term = searched.toLowerCase();
    },
    read: (_text, key) => {
      const isSearched = term !== '' && choices.some(({ value }) => value.toLowerCase().includes(`${term} `));
      wasPressed = key.name === 'space' && !isSearched;
      if (wasPressed) key.name = 'return';
    },
    wasPressed: () => wasPressed,
  };
}

/** The checklist as the search prompt shows it: the first line ends it. */
function toSearchChoices(
  choices: readonly Choice[],
  selected: ReadonlySet<string>,
  term: string,
  advice: string,
): { value: string; name: string; description?: string }[] {
  const wanted = term.toLowerCase();
  const found = choices.filter(({ label }) => label.toLowerCase().includes(wanted));
  return [
    ...(wanted === ''
      ? [
          {
            value: done,
            name: `Done (${selected.size} chosen)`,
            description: selected.size === 0 ? advice : '',
          },
        ]
      : []),
    ...found.map(({ value, label }) => ({
      value,
      name: `${selected.has(value) ? '[x]' : '[ ]'} ${toPrintable(label)}`,
    })),
  ];
}
