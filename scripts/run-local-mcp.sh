#!/bin/sh
# The early version's server. Nothing is started any more; this says what to call.
cat >&2 <<'TEXT'
run-local-mcp.sh: no server is needed any more: pipelines run in nox sessions of their own.
  run diagnostics and record them   codex-orchestrator start diagnostics --project NAME
  see how a run stands              codex-orchestrator status RUN --watch
  take early records in             codex-orchestrator migrate --dry-run
TEXT
exit 2
