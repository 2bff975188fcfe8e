import { isRecord, type Call } from './call.ts';

/** A tree of field names; a leaf takes all below it. */
interface FieldTree {
  readonly children: Map<string, FieldTree>;
  isLeaf: boolean;
}

/**
 * Cuts an answer down to what `fields` asks for. A list of names leaves out everything else, `next` too.
 * `-name` removes; `+name` adds to what is there, which is all here.
 */
export function applyFields({ request }: Pick<Call, 'request'>, json: unknown): unknown {
  const text = request.query.get('fields');
  if (text === null) return json;
  const names = text.split(',').map((name) => name.trim());
  if (text.startsWith(' ')) request.recordFailure('a "+" in fields that is not encoded');
  const wanted = names.filter((name) => /^[^+-]/.test(name));
  const unwanted = names.filter((name) => name.startsWith('-')).map((name) => name.slice(1));
  const kept = wanted.length === 0 ? json : pick(json, buildTree(wanted));
  return unwanted.length === 0 ? kept : drop(kept, buildTree(unwanted));
}

function buildTree(paths: readonly string[]): FieldTree {
  const root: FieldTree = { children: new Map(), isLeaf: false };
  for (const path of paths) {
    let tree = root;
    for (const name of path.split('.')) {
      const below = tree.children.get(name) ?? { children: new Map(), isLeaf: false };
      tree.children.set(name, below);
      tree = below;
    }
    tree.isLeaf = true;
  }
  return root;
}

function find(tree: FieldTree, name: string): FieldTree | undefined {
  return tree.children.get(name) ?? tree.children.get('*');
}

function pick(value: unknown, tree: FieldTree): unknown {
  if (tree.isLeaf) return value;
  if (Array.isArray(value)) return value.map((item) => pick(item, tree));
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, below]) => {
      const subtree = find(tree, name);
      return subtree ? [[name, pick(below, subtree)]] : [];
    }),
  );
}

function drop(value: unknown, tree: FieldTree): unknown {
  if (Array.isArray(value)) return value.map((item) => drop(item, tree));
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, below]) => {
      const subtree = find(tree, name);
      if (!subtree) return [[name, below]];
      return subtree.isLeaf ? [] : [[name, drop(below, subtree)]];
    }),
  );
}
