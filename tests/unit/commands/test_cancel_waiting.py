"""How long ``cancel`` waits for a run's end, by a clock that is an argument."""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestrator.commands.run.cancel import ends_in_time


@dataclass
class Peer:
    """A run that is left for ``lasts`` seconds, and what ``cancel`` did meanwhile; sleeping makes the time pass."""

    lasts: float
    at: float = 1000.0
    asked: list[int] = field(default_factory=list)
    reported: list[int] = field(default_factory=list)

    def ends(self) -> bool:
        """Return what waiting for the run's end came to."""
        began = self.at
        return ends_in_time(
            lambda: self.at < began + self.lasts,
            lambda: self.asked.append(round(self.at - began)),
            lambda waited: self.reported.append(round(waited)),
            lambda: self.at,
            self.sleep,
        )

    def sleep(self, seconds: float) -> None:
        """Let the time pass."""
        assert 0 < seconds < 1
        self.at += seconds


def test_a_run_that_never_ends_is_waited_for_a_minute() -> None:
    """It is asked again each 20 s, the user is told after 3 s and then each 10, and after 60 s the answer is no."""
    peer = Peer(lasts=float("inf"))
    assert not peer.ends()
    assert 1060 <= peer.at < 1060.1
    assert peer.asked == [20, 40]
    assert peer.reported == [3, 13, 23, 33, 43, 53]


def test_a_run_that_ends_soon_is_asked_once() -> None:
    """One that ends at once is slept for not at all; one that takes two seconds is reported nowhere."""
    gone = Peer(lasts=0)
    assert gone.ends()
    assert gone.at == 1000.0
    soon = Peer(lasts=2)
    assert soon.ends()
    assert (soon.asked, soon.reported, soon.at < 1002.1) == ([], [], True)


def test_a_run_that_ends_at_the_second_request() -> None:
    """What ignores the first signal and heeds the second has ended in time."""
    peer = Peer(lasts=21)
    assert peer.ends()
    assert (peer.asked, peer.reported) == ([20], [3, 13])
