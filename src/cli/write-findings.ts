import type { Finding } from '../operations/audit/finding.ts';
import { toPrintable } from '../printable.ts';

/** The columns of every form, in the order of the JSON document. */
const fields = ['severity', 'code', 'link', 'subject', 'evidence', 'fix'] as const;

/**
 * Writes findings as CSV (RFC 4180), for programs of tables. What begins like a formula, which those would run, gets
 * an apostrophe in front (OWASP, "CSV Injection").
 */
export function writeCsv(findings: readonly Finding[]): string {
  const rows = findings.map((finding) => fields.map((field) => toCsvCell(finding[field] ?? '')).join(','));
  return [fields.join(','), ...rows].map((row) => `${row}\r\n`).join('');
}

function toCsvCell(text: string): string {
  const printable = toPrintable(text, Infinity);
  const plain = /^[\s]*[=+\-@|%]/.test(printable) ? `'${printable}` : printable;
  return /[",\r\n]|^\s|\s$/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}

/** Writes findings as a table of GitHub-flavoured Markdown, in which nothing that others chose is markup. */
export function writeMarkdown(findings: readonly Finding[]): string {
  const rows = findings.map((finding) => fields.map((field) => toMarkdownCell(finding[field] ?? '')));
  const lines = [fields, fields.map(() => '---'), ...rows];
  return lines.map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}

function toMarkdownCell(text: string): string {
  return toPrintable(text, Infinity).replace(
    /[\\`*_{}[\]<>()#+!|~&:@]/g,
    (character) => `&#${character.charCodeAt(0)};`,
  );
}
