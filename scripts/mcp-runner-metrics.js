#!/usr/bin/env node
// mcp-runner-metrics.js [options of metrics]: coverage, pass rate and durations, now codex-orchestrator metrics.
import('./shims/program.mjs').then(({ become, translated }) => become('metrics', translated(process.argv.slice(2))));
