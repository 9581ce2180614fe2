#!/bin/sh
# Check that code was not changed without its spec: spec-guard.sh [--dry-run] [options of spec-guard]
set -eu
shim_root="$(CDPATH="" cd -- "$(dirname -- "$(readlink -f -- "$0" || echo "$0")")/.." && pwd -P)"
# shellcheck source=scripts/shims/find.sh
. "$shim_root/scripts/shims/find.sh"

say_instead spec-guard
become_program spec-guard "$@"
