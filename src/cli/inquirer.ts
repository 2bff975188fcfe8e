/** The prompts that gitlink asks with; naming them lets the bundler leave the others, and their editors, out. */
export { confirm, input, password, search, select } from '@inquirer/prompts';
