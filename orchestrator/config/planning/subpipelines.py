"""What a pipeline reaches through its sub-pipelines, in its own project and in others, and what is wrong there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from orchestrator.base.errors import ConfigError, UsageError
from orchestrator.config.builtin import builtin_names, merged
from orchestrator.config.faults import did_you_mean
from orchestrator.config.loading import load_project
from orchestrator.config.values import PipelineConfig, ProjectConfig, StageConfig

Node = tuple[str, str]
"""Project and pipeline."""


@dataclass(slots=True)
class Reach:
    """The pipelines reached so far, the configs read for them, and every fault met on the way.

    ``unreadable`` holds projects whose config is missing or faulty, so that each is reported once; ``builtins``
    names the versions of built-in pipelines where they are not the newest.
    """

    root: str
    configs: dict[str, ProjectConfig]
    pipelines: dict[Node, PipelineConfig] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    unreadable: set[str] = field(default_factory=set)
    builtins: Mapping[str, int] = field(default_factory=dict)

    def follow(self, start: Node, *, at_home: bool = False) -> None:
        """Walk from ``start``, whose project must be among the configs; ``at_home`` stays within that project.

        The walk keeps its own stack: a chain of sub-pipelines may be longer than Python's.
        """
        if start in self.pipelines or not self._enter(start):
            return
        path = [start]
        walks = [self._targets(start)]
        while walks:
            stage, target = next(walks[-1], (None, None))
            if stage is None or target is None:
                walks.pop()
                path.pop()
            elif target in path:
                self._say_loop(path, stage, target)
            elif target in self.pipelines or (at_home and target[0] != start[0]):
                continue
            elif self._readable(path[-1], stage, target) and self._enter(target):
                path.append(target)
                walks.append(self._targets(target))

    def below(self, project: str, pipeline: PipelineConfig) -> list[tuple[Node, PipelineConfig]]:
        """Return every pipeline that ``pipeline`` of ``project`` reaches, itself left out, by project and name."""
        found: dict[Node, PipelineConfig] = {}
        waiting = [(project, pipeline)]
        while waiting:
            owner, each = waiting.pop()
            for stage in each.stages:
                target = (stage.project or owner, stage.pipeline or "")
                if stage.pipeline is not None and target not in found:
                    found[target] = self.pipelines[target]
                    waiting.append((target[0], found[target]))
        return sorted(found.items(), key=lambda item: item[0])

    def _targets(self, node: Node) -> Iterator[tuple[StageConfig, Node]]:
        for stage in self.pipelines[node].stages:
            if stage.pipeline is not None:
                yield stage, (stage.project or node[0], stage.pipeline)

    def _enter(self, node: Node) -> bool:
        config = self.configs[node[0]]
        pipeline = merged(node[1], config.pipelines, config.name, self.builtins.get(node[1]))
        if pipeline is None:
            return False
        self.pipelines[node] = pipeline
        return True

    def _readable(self, node: Node, stage: StageConfig, target: Node) -> bool:
        """Make sure that the target's config is there and has the pipeline; a fault is said otherwise."""
        project, pipeline = target
        if project not in self.configs and project not in self.unreadable:
            try:
                self.configs[project] = load_project(self.root, project)
            except ConfigError as error:
                self.unreadable.add(project)
                self.faults += error.faults
            except UsageError as error:
                self.unreadable.add(project)
                hint = f" ({error.hint})" if error.hint else ""
                self.faults.append(f"{self._place(node, stage)}.project: {error.message}{hint}")
        config = self.configs.get(project)
        if config is None:
            return False
        known = {*builtin_names(), *config.pipelines}
        if pipeline not in known:
            text = f"project '{project}' has no pipeline '{pipeline}'{did_you_mean(pipeline, known)}"
            self.faults.append(f"{self._place(node, stage)}.pipeline: {text}")
        return pipeline in known

    def _say_loop(self, path: list[Node], stage: StageConfig, target: Node) -> None:
        circle = [*path[path.index(target) :], target]
        chain = " → ".join(f"'{pipeline}' of '{project}'" for project, pipeline in circle)
        self.faults.append(f"{self._place(path[-1], stage)}.pipeline: the sub-pipeline reaches itself: {chain}")

    def _place(self, node: Node, stage: StageConfig) -> str:
        return f"{self.configs[node[0]].file}: pipelines.{node[1]}.stages[{stage.id}]"
