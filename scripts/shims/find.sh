# shellcheck shell=sh
# Read by the shims beside this folder: finds the program and the workspace, and becomes the program.
# $shim_root is the repository that the shims lie in, set by who reads this.

# Say on stderr what replaces the script that was called.
say_instead() {
    printf '%s: now: codex-orchestrator %s\n' "$(basename "$0")" "$*" >&2
}

# Name the workspace when the current folder is in none: then the one that the shims lie in is meant. $workspace is
# its folder afterwards.
find_workspace() {
    workspace="${CODEX_ORCHESTRATOR_ROOT:-$shim_root}"
    [ -z "${CODEX_ORCHESTRATOR_ROOT:-}" ] || return 0
    folder="$(pwd -P)"
    while [ "$folder" != / ]; do
        if [ -d "$folder/project_configs" ]; then
            workspace="$folder"
            return 0
        fi
        folder="$(dirname "$folder")"
    done
    [ ! -d /project_configs ] || return 0
    if [ -d "$shim_root/project_configs" ]; then
        CODEX_ORCHESTRATOR_ROOT="$shim_root"
        export CODEX_ORCHESTRATOR_ROOT
    fi
}

# Become the program, called with these arguments: its exit code and signals are this process's.
become_program() {
    find_workspace
    if [ -x "$shim_root/.venv/bin/codex-orchestrator" ]; then
        exec "$shim_root/.venv/bin/codex-orchestrator" "$@"
    fi
    if command -v codex-orchestrator >/dev/null 2>&1; then
        exec codex-orchestrator "$@"
    fi
    # Only the package has a __main__: any folder of that name would do for an import.
    probe='import importlib.util as u, sys; sys.exit(sys.version_info < (3, 11) or not u.find_spec("orchestrator.__main__"))'
    if python3 -c "$probe" 2>/dev/null; then
        exec python3 -m orchestrator "$@"
    fi
    printf '%s: codex-orchestrator is not installed: not in %s, not on PATH, not in python3\n' \
        "$(basename "$0")" "$shim_root/.venv" >&2
    printf 'hint: %s makes .venv, or install the package codex-orchestrator\n' "$shim_root/scripts/setup" >&2
    exit 2
}
