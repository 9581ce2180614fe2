"""Commands that can't fail, told from commands that can."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.model.commands_that_cannot_fail import argv_reason, shell_reason
from tests.generated import examples

HARMLESS = r"""
true
guard || test 1
guard || [ 1 = 1 ]
guard || cd .
[ x == x ]
trap 'exit 0' EXIT; guard
guard; trap "exit 0" 0
git diff
git log --oneline
git status --porcelain
:
echo ok
/bin/true
guard || true
guard || :
guard || echo failed
guard || printf 'x'
guard || exit 0
guard || exit 256
guard || { echo failed; }
guard || true # a comment
guard; true
guard; exit 0
guard &
guard & wait
guard | tee log
guard 2>&1 | tee -a log
guard | cat
guard | sed 's/^/> /'
guard --dry-run
kubectl apply --dry-run=client
bash scripts/guard.sh --dry-run
npm run guard -- --dry-run
ruff check --exit-zero .
trivy fs --exit-code 0 .
guard --help
make -i check
sh -c 'guard || true'
bash -lc "guard; true"
bash -c 'sh -c "guard || :"'
eval "guard || true"
env A=1 B=2 echo hi
env -u HOME true
A=1 true
X=1
exec true
timeout 5 true
timeout -k 5 10 sh -c "guard || :"
nice -n 5 true
uv run true
uv run --with x echo
python -c "pass"
python3 -c "print('ok')"
node -e "process.exit(0)"
echo "$(guard || exit 1)"
{ guard; echo; }
exit 0; guard
true && true
true || guard
set +e; guard; true
# guard
guard\ntrue
guard ||\n true
"""
SHARP = r"""
guard
guard || test -f x
test "$(guard)" = 1
[ "$x" = "$x" ]
[ a = b ]
trap 'exit 1' EXIT; guard
trap 'rm -f x' EXIT; guard
git diff --exit-code
git diff --check
git fetch
false
test -f x
echo start && guard
echo start; guard
true && guard
true || true; guard
guard > /dev/null 2>&1
guard && exit 0
guard || exit 1
guard || exit 1; echo ok
guard || exit; echo ok
guard || { echo bad; exit 1; }; echo ok
if ! guard; then exit 1; fi; echo ok
if [ -z "$CI" ]; then exit 0; fi; guard
if x; then guard; else true; fi
for f in *; do check $f || exit 1; done; echo ok
while read x; do check $x; done
case $x in a) guard;; *) true;; esac
set -e; guard; echo ok
set -o errexit; guard; echo ok
set -euo pipefail; guard | tee log
bash -euo pipefail -c 'guard | tee log; echo ok'
guard | grep -q ok
guard | sed '/bad/q1'
! grep -r -- --dry-run scripts
! true
exec guard; true
exec > log; guard
x=$(guard)
x=`guard`
command -v guard
guard --dry-run=false
git diff --exit-code 0
wait $!
(cd sub && guard)
make check
npm run lint
sh script.sh
python -c "import sys; sys.exit(1)"
uv run pytest
guard '|| true'
"guard" "unbalanced
guard <<E\ntrue\nE
f() { true; }; f
[ "${X:-$(guard "a b")}" = ok ]
guard '||' true
guard \; true
a && { b; echo x; }
echo \
"""
NOT_READ = r"""
echo $(guard)
export X=$(guard)
(guard || exit 1); echo done
if ! guard; then echo warn; fi
if guard; then :; elif x; then :; else echo bad; fi
for f in *; do check $f; done; echo ok
for f in *; do echo $f; done
case $x in a) true;; *) echo;; esac
f() { exit 1; }; echo
set -e; guard && echo ok; echo done
cat <<E || true\nbody\nE
"""
PIECES = [
    *("a", "true", "exit 1", "exit 0", ";", "\n", "&&", "||", "|", "&", "(", ")", "{", "}", "if", "then", "else", "fi"),
    *("for x in y", "do", "done", "case x in", "esac", ";;", "!", "'", '"', "$(", "`", "<<E", ">", "\\"),
]


@pytest.mark.parametrize("line", [line for line in HARMLESS.splitlines() if line])
def test_a_line_that_can_not_fail_is_found(line: str) -> None:
    """A line whose result is always success is found, however it is wrapped."""
    assert shell_reason(line.replace(r"\n", "\n")) is not None


@pytest.mark.parametrize("line", [line for line in SHARP.splitlines() if line][:-1])
def test_a_line_that_can_fail_is_not_accused(line: str) -> None:
    """A line in which something decisive may fail is left alone."""
    assert shell_reason(line.replace(r"\n", "\n")) is None


@pytest.mark.parametrize("line", [line for line in NOT_READ.splitlines() if line])
def test_compound_commands_are_not_read(line: str) -> None:
    """What is none of the common forms counts as able to fail; whether it does is for a canary to prove."""
    assert shell_reason(line.replace(r"\n", "\n")) is None


@pytest.mark.parametrize(
    "line", ["guard || true", "guard ';' true", "echo", "sh -c 'a || true'", "env X=1 g --dry-run"]
)
def test_a_command_without_a_shell_is_judged_too(line: str) -> None:
    """Operators that no shell reads are judged as what they were meant to be."""
    assert argv_reason(shlex.split(line)) is not None


@pytest.mark.parametrize("line", ["guard", "sh -c 'a && b'", "find . -exec ls {} ';'", "pytest -k 'a || true'"])
def test_a_command_without_a_shell_that_can_fail_is_not_accused(line: str) -> None:
    """Arguments that only look like operators accuse nobody."""
    assert argv_reason(shlex.split(line)) is None


@settings(max_examples=examples(150))
@given(
    st.lists(
        st.sampled_from(PIECES),
        max_size=14,
    )
)
def test_any_line_is_judged_without_a_crash(words: list[str]) -> None:
    """Nonsense gets an answer, and soon."""
    reason = shell_reason(" ".join(words))
    assert reason is None or reason


def test_hostile_depth_is_no_crash() -> None:
    """Thousands of brackets are judged, as a line that may fail."""
    assert shell_reason("$(" * 2000 + ")" * 2000) is None
    assert shell_reason("(" * 2000 + ")" * 2000) is None
    assert shell_reason("sh -c '" * 40) is None
