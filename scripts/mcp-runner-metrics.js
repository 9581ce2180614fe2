#!/usr/bin/env node
// mcp-runner-metrics.js [options of metrics]: coverage, pass rate and durations, now codex-orchestrator metrics.
import('./shims/program.mjs').then(({ become, say, translated }) => {
  say('metrics-summary.json is not written any more: codex-orchestrator metrics --format json > FILE does it');
  become('metrics', translated(process.argv.slice(2)));
});
