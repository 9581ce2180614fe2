#!/bin/sh
# Show a run: mcp-runner-poll.sh RUN [--watch] [--interval N] [--format text|json]
set -eu
shim_root="$(CDPATH="" cd -- "$(dirname -- "$(readlink -f -- "$0" || echo "$0")")/.." && pwd -P)"
# shellcheck source=scripts/shims/find.sh
. "$shim_root/scripts/shims/find.sh"
# shellcheck source=scripts/shims/early_words.sh
. "$shim_root/scripts/shims/early_words.sh"

if [ $# -lt 1 ]; then
    echo "Usage: scripts/mcp-runner-poll.sh RUN [--watch] [--interval N] [--format text|json]" >&2
    exit 2
fi
become_translated status "$@"
