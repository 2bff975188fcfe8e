/**
 * Loaded before gitlink: ends the process by SIGKILL before its `DIE_AT`-th step, and notes in `DIE_NOTE` what that
 * was: a file that takes its place, a word to the keychain, a request, an answer.
 */
export const dyingPreload = `
const fs = require('node:fs');
const children = require('node:child_process');
const { writeFileSync, renameSync } = fs;
let step = 0;
const take = (what) => {
  step += 1;
  if (step !== Number(process.env.DIE_AT)) return;
  writeFileSync(process.env.DIE_NOTE, what);
  process.kill(process.pid, 'SIGKILL');
};
fs.renameSync = (from, to) => {
  take('the rename of ' + to);
  renameSync(from, to);
};
const { spawn } = children;
children.spawn = (...args) => {
  const child = spawn(...args);
  const { write } = child.stdin;
  child.stdin.write = (...data) => {
    take('keychain');
    return write.apply(child.stdin, data);
  };
  return child;
};
const { fetch } = globalThis;
globalThis.fetch = async (...args) => {
  take('request ' + args[0]);
  const answer = await fetch(...args);
  take('answer ' + args[0]);
  return answer;
};
require('node:module').syncBuiltinESMExports();
`;
