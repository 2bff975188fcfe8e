#!/usr/bin/env node
// CommonJS, because Node starts it two milliseconds faster than a module.
require('../dist/credential-helper.cjs').runCredentialHelper(process.argv.slice(2));
