import { describeLinks } from '../../operations/describe-links.ts';
import { renameLink } from '../../operations/rename-link.ts';
import { createCommand, type Cli } from '../program.ts';

export function registerRename(cli: Cli): void {
  createCommand(cli, 'rename', 'Give a link another name', [
    ['gitlink rename gitea work', 'the link gitea is called work from now on'],
  ])
    .argument('<link>', 'the link')
    .argument('<name>', 'its new name')
    .action((from: string, to: string) =>
      cli.run('rename', async ({ context, output, reporter }) => {
        const link = await renameLink(context, from, to);
        reporter.note(`"${from}" is now "${link.name}".`);
        output.document({ link: describeLinks(context, [link])[0] });
      }),
    );
}
