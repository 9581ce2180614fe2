"""Values to text and JSON: what ``status``, ``plan``, ``start`` and ``resume`` show. Nothing here reads or writes.

Records are taken as they are on disk (version 1 or 2), so that ``status`` starts without the classes
and the checks of the manifest. ``fields`` reads records, ``view`` is the status document, ``status_text``
its text, ``stage_words`` how stages are named, ``changes`` what a watcher is shown, ``ending`` what a run ends
with, ``plan_text`` what will run.
"""
