#!/bin/sh
# Run diagnostics to their end, or with --no-watch print the run's id and return.
set -eu
shim_root="$(CDPATH="" cd -- "$(dirname -- "$(readlink -f -- "$0" || echo "$0")")/.." && pwd -P)"
# shellcheck source=scripts/shims/find.sh
. "$shim_root/scripts/shims/find.sh"
# shellcheck source=scripts/shims/early_words.sh
. "$shim_root/scripts/shims/early_words.sh"

left=$#
while [ "$left" -gt 0 ]; do
    word="$1"
    shift
    left=$((left - 1))
    case "$word" in
    --no-watch) set -- "$@" --detach ;;
    -h | --help)
        echo "Usage: scripts/run-mcp-diagnostics.sh [--approval-policy V] [--no-watch] [options of start]"
        exit 0
        ;;
    *) set -- "$@" "$word" ;;
    esac
done
become_translated start --pipeline diagnostics "$@"
