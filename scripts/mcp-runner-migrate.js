#!/usr/bin/env node
// mcp-runner-migrate.js [--dry-run] [--run-id RUN]: takes early records in, now codex-orchestrator migrate.
import('./shims/program.mjs').then(({ become, translated }) => become('migrate', translated(process.argv.slice(2))));
