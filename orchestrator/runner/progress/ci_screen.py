"""A run as the screen of a CI system shows it: each stage in a group that can be folded.

A stage that begins while no group is open has its output in its own group at once. What other stages print
meanwhile is kept, up to a bound, and follows in their own groups when they have ended: groups can't be nested. Lines by
which a stage reports its own findings to GitHub pass at once, without a prefix; other workflow commands become text. A
value that a stage masks by ``::add-mask::`` is masked by the run, and passed on for GitHub to mask.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from orchestrator.base.clock import Clock
from orchestrator.base.text.terminal_filter import TerminalFilter
from orchestrator.base.text.workflow_commands import ADD_MASK, HARMLESS, command_name, made_harmless, workflow_command
from orchestrator.runner.progress.event_text import sentence, shown
from orchestrator.runner.progress.lines import LineObserver, SinkLines
from orchestrator.runner.progress.stream import Sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

GITHUB_VARIABLE = "GITHUB_ACTIONS"
GITLAB_VARIABLE = "GITLAB_CI"

_PASSED = frozenset(HARMLESS)
_LONGEST_LINE = 8 * 1024
"""Bytes of an unfinished line before it is shown as it is."""

_KEPT = 2 << 20
"""Bytes of a stage's output that are kept until its group can be shown; of more, the end is."""

_MARK = "==> "


class _Stage:
    """What a stage printed and has not been shown yet."""

    def __init__(self, name: str, *, color: bool) -> None:
        self.name = name
        self.filter = TerminalFilter(color=color)
        self.partial = b""
        self.kept = bytearray()
        self.dropped = 0
        self.ending = ""

    def keep(self, data: bytes) -> None:
        """Keep data until it can be shown; of too much, the oldest whole lines go."""
        self.kept += data
        if len(self.kept) > _KEPT:
            cut = self.kept.find(b"\n", len(self.kept) - _KEPT // 2) + 1 or len(self.kept)
            del self.kept[:cut]
            self.dropped += cut


class GroupedLines(LineObserver):
    """Lines in groups; a subclass says how a group is opened and closed, and what becomes of a stage's line."""

    def __init__(self, target: Any, *, color: bool) -> None:
        super().__init__(target, color=color, whole_lines=True)
        self._stages: dict[str, _Stage] = {}
        self._live: _Stage | None = None
        self._ended: list[_Stage] = []

    def opening(self, title: str) -> str:
        """Return what begins a group."""
        raise NotImplementedError

    def closing(self, title: str) -> str:
        """Return what ends the group that is open."""
        raise NotImplementedError

    def line(self, text: str) -> tuple[str, bool]:
        """Return a line as it may be shown, and whether it passes at once."""
        return text, False

    def event(self, event: Mapping[str, Any]) -> None:
        """Report an event."""
        kind, name = event.get("type"), str(event.get("stage"))
        text, _ = sentence(event)
        said = f"{self.line(_MARK + text)[0]}\n" if text else ""
        if kind == "stage:start":
            self._begin(name, said)
        elif kind == "stage:end":
            self._end(self._stages.pop(name) if name in self._stages else _Stage(name, color=self._color), said)
        else:
            self._target.text(said)

    def output(self, stage_id: str, data: bytes) -> None:
        """Show or keep a stage's output."""
        stage = self._stages.get(stage_id)
        if stage is None:
            self._begin(stage_id, "")
            stage = self._stages[stage_id]
        self._take(stage, stage.filter.feed(data))

    def close(self) -> None:
        """Show what is left of every stage."""
        for name in tuple(self._stages):
            self._end(self._stages.pop(name), "")

    def _begin(self, name: str, said: str) -> None:
        stage = self._stages[name] = _Stage(name, color=self._color)
        if self._live is None:
            self._live = stage
            self._target.text(self.opening(shown(name)) + said)
        else:
            stage.keep(said.encode())

    def _end(self, stage: _Stage, said: str) -> None:
        self._take(stage, stage.filter.flush())
        if stage.partial:
            self._take(stage, b"\n")
        stage.ending = said
        if stage is self._live:
            self._live = None
            self._target.text(self.closing(shown(stage.name)) + said)
        else:
            self._ended.append(stage)
        while self._live is None and self._ended:
            self._show_group(self._ended.pop(0))

    def _show_group(self, stage: _Stage) -> None:
        title = shown(stage.name)
        self._target.text(self.opening(title))
        if stage.dropped:
            self._target.text(f"{_MARK}{stage.dropped} bytes before this are in the stage's log only\n")
        self._target.write(bytes(stage.kept))
        self._target.text(self.closing(title) + stage.ending)

    def _take(self, stage: _Stage, data: bytes) -> None:
        """Take shown bytes of a stage, and pass on the lines that are whole."""
        *lines, stage.partial = (stage.partial + data).split(b"\n")
        if len(stage.partial) > _LONGEST_LINE:
            lines.append(stage.partial)
            stage.partial = b""
        rest = []
        for line in lines:
            text, is_passed = self.line(line.decode("utf-8", "replace"))
            if is_passed:
                self._target.text(f"{text}\n")
            else:
                rest.append(text.encode() + b"\n")
        shown_now = b"".join(rest)
        if not shown_now:
            return
        shown_now += stage.filter.reset_if_needed()
        if stage is self._live:
            self._target.write(shown_now)
        else:
            stage.keep(shown_now)


class GithubLines(SinkLines, GroupedLines):
    """Groups of GitHub Actions."""

    def opening(self, title: str) -> str:
        """Return the command that begins a group."""
        return f"{workflow_command('group', title)}\n"

    def closing(self, title: str) -> str:
        """Return the command that ends the group."""
        return f"{workflow_command('endgroup')}\n"

    def mask_value(self, value: bytes) -> None:
        """Have GitHub mask a value that a stage names; the stage's own line is masked already, and text."""
        self._target.write(_masking(value))

    def line(self, text: str) -> tuple[str, bool]:
        """Return a stage's line: its own findings pass, every other command becomes text."""
        finding = _finding(text)
        return (made_harmless(text), False) if finding is None else (finding, True)


class GitlabLines(SinkLines, GroupedLines):
    """Collapsible sections of GitLab CI. Source: GitLab Docs, "Custom collapsible sections"."""

    def opening(self, title: str) -> str:
        """Return the marker that begins a section, and its title."""
        return f"\x1b[0Ksection_start:{self._now()}:{_section(title)}[collapsed=true]\r\x1b[0K{title}\n"

    def closing(self, title: str) -> str:
        """Return the marker that ends the section."""
        return f"\x1b[0Ksection_end:{self._now()}:{_section(title)}\r\x1b[0K\n"

    def _now(self) -> int:
        return int(self._clock.now().timestamp())


class NestedLines(SinkLines):
    """A run inside another on GitHub: plain lines, but findings of stages stand at their lines' starts.

    The run around it shows them as its stage's output, and makes harmless what has to be.
    """

    def __init__(self, sink: Sink, *, color: bool, clock: Clock) -> None:
        super().__init__(sink, color=color, clock=clock)
        self._whole_lines = True

    def mask_value(self, value: bytes) -> None:
        """Have the run around this one mask a value that a stage names."""
        self._end_line()
        self._target.write(_masking(value))

    def _prefixed(self, voice: Any, lines: bytes) -> bytes:
        prefixed = super()._prefixed(voice, lines).split(b"\n")
        plain = lines.split(b"\n")
        return b"\n".join(
            own if command_name(own.decode("utf-8", "replace")) in _PASSED else line
            for own, line in zip(plain, prefixed, strict=True)
        )


class HarmlessLines(SinkLines):
    """Plain lines on GitHub, where ``[export] github`` is off: findings of stages pass, other commands are text."""

    def __init__(self, sink: Sink, *, color: bool, clock: Clock) -> None:
        super().__init__(sink, color=color, clock=clock)
        self._target = _HarmlessText(sink)
        self._whole_lines = True

    def mask_value(self, value: bytes) -> None:
        """Have GitHub mask a value that a stage names; the stage's own line is masked already, and text."""
        self._end_line()
        self._target.write(_masking(value))

    def _prefixed(self, voice: Any, lines: bytes) -> bytes:
        prefixed = super()._prefixed(voice, lines).split(b"\n")
        return b"\n".join(
            (_finding(own.decode("utf-8", "replace")) or made_harmless(line.decode("utf-8", "replace"))).encode()
            for own, line in zip(lines.split(b"\n"), prefixed, strict=True)
        )


class _HarmlessText:
    """A target whose text gives no command; bytes are passed on as they are."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def text(self, text: str) -> None:
        self._sink.text("\n".join(map(made_harmless, text.split("\n"))))

    def write(self, data: bytes) -> None:
        self._sink.write(data)


def _finding(line: str) -> str | None:
    """Return a line by which a stage reports a finding of its own, as it may pass; None for any other."""
    return line.replace("##[", "# #[") if command_name(line) in _PASSED else None


def _masking(value: bytes) -> bytes:
    return (
        workflow_command(ADD_MASK, value.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape") + b"\n"
    )


def _section(title: str) -> str:
    return "".join(char if char.isalnum() and char.isascii() else "_" for char in title)


def ci_screen(environ: Mapping[str, str], *, is_root: bool, is_on: bool = True) -> Callable[..., SinkLines] | None:
    """Return what makes the observer of the CI system that the environment describes, None outside of one.

    Not ``is_on``, a run shows no groups and sections; what its stages print is made harmless all the same.
    """
    if environ.get(GITHUB_VARIABLE) == "true":
        return NestedLines if not is_root else GithubLines if is_on else HarmlessLines
    if environ.get(GITLAB_VARIABLE) == "true" and is_root and is_on:
        return GitlabLines
    return None
