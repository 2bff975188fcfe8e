#!/usr/bin/env node
import { enableOwnCompileCache } from '../dist/compile-cache.js';

enableOwnCompileCache();
const { runCredentialHelper } = await import('../dist/credential-helper.js');
await runCredentialHelper(process.argv.slice(2));
