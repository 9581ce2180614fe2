#!/bin/sh
# Start a run, or resume one: mcp-runner-start.sh [--resume RUN] [options of start or resume]
set -eu
shim_root="$(CDPATH="" cd -- "$(dirname -- "$(readlink -f -- "$0" || echo "$0")")/.." && pwd -P)"
# shellcheck source=scripts/shims/find.sh
. "$shim_root/scripts/shims/find.sh"
# shellcheck source=scripts/shims/early_words.sh
. "$shim_root/scripts/shims/early_words.sh"

verb=start
if [ "${1:-}" = --resume ]; then
    if [ -z "${2:-}" ]; then
        echo "Usage: scripts/mcp-runner-start.sh --resume RUN [options]" >&2
        exit 2
    fi
    verb=resume
    shift
fi
become_translated "$verb" "$@"
