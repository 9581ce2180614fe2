"""What ``prune`` says to people: what goes, how much, and why the rest is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from orchestrator.base.text.safe_text import safe_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_MOST = 20


def size_text(count: int) -> str:
    """Return a number of bytes as people read it: ``512 B``, ``1.5 MiB``."""
    size, unit = float(count), 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{count} B" if unit == 0 else f"{size:.1f} {_UNITS[unit]}"


def prune_text(document: Mapping[str, Any]) -> str:
    """Return the text of a prune's document; with ``dry_run`` each kept run is listed with why."""
    dry = document["dry_run"]
    lines = [*_listed("Record", document["pruned"], dry), *_listed("Logs", document["logs_pruned"], dry)]
    if dry:
        lines += (f"Kept       {entry['run_id']}: {entry['why']}" for entry in document["kept"])
    else:
        counted = Counter(entry["why"].partition(";")[0] for entry in document["kept"])
        lines += (f"Kept       {count} × {why}" for why, count in counted.most_common(_MOST))
    gone = f"{len(document['pruned'])} runs and the logs of {len(document['logs_pruned'])} more"
    words = "would be pruned" if dry else "pruned"
    lines.append(f"{gone} {words}: {size_text(document['bytes'])}; {len(document['kept'])} are kept.")
    return safe_text("\n".join(lines) + "\n", lines=True)


def question(document: Mapping[str, Any], now: str) -> str:
    """Return what is asked in a terminal before anything goes."""
    return safe_text(
        f"Prune {len(document['pruned'])} runs and the logs of {len(document['logs_pruned'])} more, "
        f"{size_text(document['bytes'])}, by the clock's {now}? They can't be brought back. [y/N] "
    )


def _listed(what: str, entries: Sequence[Mapping[str, Any]], dry: bool) -> Iterator[str]:
    shown = entries if dry else entries[:_MOST]
    for entry in shown:
        yield f"{what:<10} {entry['run_id']}: {size_text(entry['bytes'])}"
    if len(shown) < len(entries):
        yield f"{what:<10} and {len(entries) - len(shown)} more"
