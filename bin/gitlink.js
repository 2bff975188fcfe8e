#!/usr/bin/env node
// CommonJS, because Node starts it two milliseconds faster than a module.
const { start } = require('../dist/start.cjs');

const argv = process.argv.slice(2);
if (!start(argv)) void import('../dist/process-runtime.js').then(({ runProcess }) => runProcess(argv));
