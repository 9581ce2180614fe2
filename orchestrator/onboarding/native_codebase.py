"""Go and Rust: their own tools build, check and test, whatever the codebase."""

from __future__ import annotations

import re

from orchestrator.onboarding.codebase import Codebase
from orchestrator.onboarding.proposal import REPORT, Proposal, Stage, Value, diagnostics, run

GO = "go"
RUST = "rust"

_GOTESTSUM = "gotest.tools/gotestsum"
_USE = re.compile(r"^use\s+(?:\(([^)]*)\)|(\S+))", re.M)


def is_go(codebase: Codebase) -> bool:
    """Tell whether the codebase is a Go module or workspace."""
    return codebase.first("go.mod", "go.work") is not None


def is_rust(codebase: Codebase) -> bool:
    """Tell whether the codebase is a Rust crate or workspace."""
    return codebase.has("Cargo.toml")


def propose_go(codebase: Codebase) -> Proposal:
    """Return what a Go codebase builds, lints and tests with."""
    settings = codebase.first(".golangci.yml", ".golangci.yaml", ".golangci.toml", ".golangci.json")
    patterns = _go_patterns(codebase)
    where = "go.mod" if codebase.has("go.mod") and patterns == "./..." else "go.work"
    lint = f"golangci-lint run{'' if patterns == './...' else f' {patterns}'}" if settings else f"go vet {patterns}"
    return Proposal(
        GO,
        diagnostics(
            # Without -o a single program is written into the tree, as a change of the code that a run is about.
            run("build", f"go build -o /dev/null {patterns}", where, timeout="15m"),
            run(
                "lint",
                lint,
                f"detected by {settings}" if settings else "no linter is configured: go's own",
                timeout="10m",
            ),
            _go_test(codebase, patterns, where),
        ),
        pass_env=("GO*", "CGO_*"),
    )


def _go_test(codebase: Codebase, patterns: str, where: str) -> Stage:
    """Return the test stage; with gotestsum, where it is a tool of the module, it leaves a report."""
    is_tool = re.search(rf"^(?:tool\s+|\s+){_GOTESTSUM}\s*$", codebase.text("go.mod") or "", re.M) is not None
    if not is_tool and f'"{_GOTESTSUM}"' not in (codebase.text("tools.go") or ""):
        return run("test", f"go test {patterns}", where, timeout="15m")
    call = "go tool gotestsum" if is_tool else f"go run {_GOTESTSUM}"
    line = f"{call} --junitfile {REPORT} -- {patterns}"
    return run("test", line, f"gotestsum of {'go.mod' if is_tool else 'tools.go'}", timeout="15m", reports=[REPORT])


def _go_patterns(codebase: Codebase) -> str:
    """Return what go's commands are called with: at the root of a workspace ``./...`` holds for its own module only."""
    text = re.sub(r"//.*", "", codebase.text("go.work") or "")
    words = (word.strip('"') for block, one in _USE.findall(text) for word in (block or one).split())
    inside = [word.removeprefix("./").rstrip("/") for word in words if re.fullmatch(r"[\w./-]+", word)]
    used = [word for word in inside if not word.startswith(("../", "/"))]
    return " ".join("./..." if word in ("", ".") else f"./{word}/..." for word in used) or "./..."


def propose_rust(codebase: Codebase) -> Proposal:
    """Return what a Rust codebase builds, lints and tests with."""
    hints = codebase.workflows()
    is_locked = codebase.has("Cargo.lock")
    locked = " --locked" if is_locked else ""
    every = " --workspace" if "workspace" in codebase.toml("Cargo.toml") else ""
    lint = f"cargo clippy{every} --all-targets{locked} -- -D warnings"
    why = "warnings fail it: clippy's exit code does not tell of them otherwise"
    if codebase.first("rustfmt.toml", ".rustfmt.toml") or re.search(r"cargo fmt\b", hints):
        lint, why = f"cargo fmt --check && {lint}", f"rustfmt is in use; {why}"
    notes = ["lint needs the component clippy (rustup component add clippy)"]
    written: dict[str, Value] = {}
    if not is_locked:
        written = {"outputs": ["Cargo.lock"]}
        notes.append(
            "there is no Cargo.lock: the build writes one, which spec-guard leaves out; commit it, or ignore it, "
            "and take it out of outputs and exclude"
        )
    return Proposal(
        RUST,
        diagnostics(
            run("build", f"cargo build{every}{locked}", "Cargo.toml", timeout="30m", **written),
            run("lint", lint, why, timeout="15m"),
            run("test", f"cargo test{every}{locked}", "Cargo.toml", timeout="30m"),
        ),
        pass_env=("CARGO_HOME", "CARGO_TARGET_DIR", "RUSTUP_*", "RUSTFLAGS"),
        not_code=() if is_locked else ("Cargo.lock",),
        notes=tuple(notes),
    )
