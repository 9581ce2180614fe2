# shellcheck shell=sh
# Read by the shims beside this folder, after find.sh: the early version's options in today's words.

# Become the program with a verb and early options. Each turn takes the first word off the list and puts what it
# becomes at the end, so that after as many turns the list is translated and words have kept their spaces.
become_translated() {
    verb="$1"
    shift
    left=$#
    while [ "$left" -gt 0 ]; do
        word="$1"
        shift
        left=$((left - 1))
        case "$word" in
        --)
            set -- "$@" --
            while [ "$left" -gt 0 ]; do
                set -- "$@" "$1"
                shift
                left=$((left - 1))
            done
            ;;
        --run-id) set -- "$@" --run ;;
        --run-id=*) set -- "$@" "--run=${word#*=}" ;;
        --resume-token) set -- "$@" --token ;;
        --resume-token=*) set -- "$@" "--token=${word#*=}" ;;
        --timeout)
            leave_out "$word" "timeouts are the stages', in project_configs"
            if [ "$left" -gt 0 ]; then
                shift
                left=$((left - 1))
            fi
            ;;
        --timeout=*) leave_out --timeout "timeouts are the stages', in project_configs" ;;
        --summarize) leave_out "$word" "the summary is what is printed" ;;
        *) set -- "$@" "$word" ;;
        esac
    done
    say_instead "$verb"
    become_program "$verb" "$@"
}

leave_out() {
    printf '%s: %s has no counterpart and is left out: %s\n' "$(basename "$0")" "$1" "$2" >&2
}
