"""Go and Rust: their own tools build, check and test, whatever the codebase."""

from __future__ import annotations

import re

from orchestrator.onboarding.codebase import Codebase
from orchestrator.onboarding.proposal import Proposal, diagnostics, run

GO = "go"
RUST = "rust"


def is_go(codebase: Codebase) -> bool:
    """Tell whether the codebase is a Go module or workspace."""
    return codebase.first("go.mod", "go.work") is not None


def is_rust(codebase: Codebase) -> bool:
    """Tell whether the codebase is a Rust crate or workspace."""
    return codebase.has("Cargo.toml")


def propose_go(codebase: Codebase) -> Proposal:
    """Return what a Go codebase builds, lints and tests with."""
    settings = codebase.first(".golangci.yml", ".golangci.yaml", ".golangci.toml", ".golangci.json")
    lint = "golangci-lint run" if settings else "go vet ./..."
    return Proposal(
        GO,
        diagnostics(
            run("build", "go build ./...", "go.mod", timeout="15m"),
            run(
                "lint",
                lint,
                f"detected by {settings}" if settings else "no linter is configured: go's own",
                timeout="10m",
            ),
            run("test", "go test ./...", "go.mod", timeout="15m"),
        ),
        pass_env=("GO*", "CGO_*"),
    )


def propose_rust(codebase: Codebase) -> Proposal:
    """Return what a Rust codebase builds, lints and tests with."""
    hints = codebase.workflows()
    locked = " --locked" if codebase.has("Cargo.lock") else ""
    every = " --workspace" if "workspace" in codebase.toml("Cargo.toml") else ""
    lint = f"cargo clippy{every} --all-targets{locked} -- -D warnings"
    why = "warnings fail it: clippy's exit code does not tell of them otherwise"
    if codebase.first("rustfmt.toml", ".rustfmt.toml") or re.search(r"cargo fmt\b", hints):
        lint, why = f"cargo fmt --check && {lint}", f"rustfmt is in use; {why}"
    notes = ("lint needs the component clippy (rustup component add clippy)",)
    return Proposal(
        RUST,
        diagnostics(
            run("build", f"cargo build{every}{locked}", "Cargo.toml", timeout="30m"),
            run("lint", lint, why, timeout="15m"),
            run("test", f"cargo test{every}{locked}", "Cargo.toml", timeout="30m"),
        ),
        pass_env=("CARGO_HOME", "CARGO_TARGET_DIR", "RUSTUP_*", "RUSTFLAGS"),
        notes=notes,
    )
