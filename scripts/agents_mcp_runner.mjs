#!/usr/bin/env node
// agents_mcp_runner.mjs start|resume|poll|status [options]: the early version's runner, now codex-orchestrator.
import process from 'node:process';

import { become, say, translated } from './shims/program.mjs';

const VERBS = { start: 'start', resume: 'resume', poll: 'status', status: 'status' };

const [verb, ...words] = process.argv.slice(2);
if (Object.hasOwn(VERBS, verb ?? '')) {
  become(VERBS[verb], translated(words));
} else {
  say('usage: scripts/agents_mcp_runner.mjs start|resume|poll|status [options]');
  process.exitCode = 2;
}
