"""``export --as``: forms of real runs, to stdout, files and receivers."""

from __future__ import annotations

import json

import pytest
from junitparser import JUnitXml
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.functional.receivers import receiver
from tests.harness import Orchestrator, WorkspaceFolder

FORMS = ("junit", "otlp-json", "chrome-trace", "github-summary", "github-annotations")


@pytest.fixture
def family(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> str:
    """A run whose sub-pipeline fails, with output that is markup, controls and no UTF-8; its id."""
    shell = r"printf ']]> ``` <b> \033[2J \000 \377 ::set-env name=A::b\n'; exit 3"
    workspace.project("app", {"go": {"shell": shell, "needs": []}}, pipeline="deep")
    config = workspace.root / "project_configs/app.toml"
    config.write_text(
        config.read_text() + '[[pipelines.top.stages]]\nid = "first"\nrun = "true"\n'
        '[[pipelines.top.stages]]\nid = "sub"\npipeline = "deep"\n'
    )
    done = orchestrate("start", "top", "--format", "json")
    assert done.code == 3, done.stderr
    return str(done.document["run_id"])


def test_every_form_of_a_run_and_its_child(orchestrate: Orchestrator, family: str) -> None:
    """Each form has the child under its parent, --no-children leaves it out, and the same run has the same bytes."""
    for form in FORMS:
        done = orchestrate("export", family, "--as", form)
        assert done.code == 0, done.stderr
        assert "go" in done.stdout
        assert done.stdout == orchestrate("export", family, "--as", form).stdout
    suites = [suite.name for suite in JUnitXml.fromstring(orchestrate("export", "--as", "junit").stdout.encode())]
    assert suites == ["app.top", "app.deep"]
    alone = orchestrate("export", "--as", "junit", "--no-children").stdout
    assert [suite.name for suite in JUnitXml.fromstring(alone.encode())] == ["app.top"]


def test_a_childs_spans_hang_below_its_stage(orchestrate: Orchestrator, family: str) -> None:
    """One trace: run, stage, the child's run, its stage, by the TRACEPARENT that the child inherited."""
    document = orchestrate("export", family, "--as", "otlp-json").document
    spans = document["resourceSpans"][0]["scopeSpans"][0]["spans"]
    by_name = {span["name"]: span for span in spans}
    assert len({span["traceId"] for span in spans}) == 1
    assert by_name["RUN app.deep"]["parentSpanId"] == by_name["sub"]["spanId"]
    assert by_name["go"]["parentSpanId"] == by_name["RUN app.deep"]["spanId"]


def test_otlp_over_http(orchestrate: Orchestrator, family: str) -> None:
    """A receiver of the official protobuf code gets every span; its address comes from --to or from OTEL_*."""
    with receiver() as (url, got):
        sent = orchestrate("export", family, "--as", "otlp", "--to", f"{url}/v1/traces")
        assert sent.code == 0, sent.stderr
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_HEADERS": "x-key=abc"}
        assert orchestrate("export", family, "--as", "otlp", env=env).code == 0
    assert [path for path, _, _ in got] == ["/v1/traces"] * 2
    assert got[1][1]["x-key"] == "abc"
    names = []
    for _, _, body in got:
        (resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
        names.append([span.name for scope in resource.scope_spans for span in scope.spans])
    assert names[0] == names[1] == ["RUN app.top", "first", "sub", "RUN app.deep", "go"]


def test_a_receiver_that_takes_nothing(orchestrate: Orchestrator, family: str) -> None:
    """One that is not there, or answers 503, is exit code 2 with the reason; the other forms are posted as they are."""
    with receiver(503) as (url, _):
        refused = orchestrate("export", family, "--as", "junit", "--to", url)
    assert refused.code == 2
    assert "503" in refused.stderr
    down = orchestrate("export", family, "--as", "otlp", "--to", f"{url}/v1/traces")
    assert (down.code, "did not take" in down.stderr) == (2, True)
    assert "Traceback" not in down.stderr
    with receiver() as (url, got):
        assert orchestrate("export", family, "--as", "otlp-json", "--to", url).code == 0
    assert json.loads(got[0][2])["resourceSpans"]
    assert got[0][1]["content-type"] == "application/json"


@pytest.mark.parametrize("form", ["junit", "otlp"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirection_is_no_delivery(orchestrate: Orchestrator, family: str, form: str, status: int) -> None:
    """The page that it names would be asked for without the data, and its 200 say that they were taken."""
    with receiver(status) as (url, got):
        refused = orchestrate("export", family, "--as", form, "--to", f"{url}/v1/traces")
    assert (refused.code, refused.stdout, len(got)) == (2, "", 1)
    assert f"the receiver answered {status}, and names another address: '/login'" in refused.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--as", "junti"), 2, "did you mean 'junit'?"),
        (("--as", "junit", "--to", "collector:4318"), 2, "--to https://collector:4318"),
        (("--as", "junit", "--to", "file:///etc/passwd"), 2, "no address of HTTP"),
        (("--as", "junit", "--to", "http://a", "--output", "x"), 2, "don't go together"),
        (("--as", "otlp"), 2, "--output FILE"),
        (("--as", "junit", "--output", "missing/x.xml"), 2, "there is no folder"),
        (("--as", "junit", "--sign", "key"), 2, "for --as in-toto only"),
    ],
)
def test_what_is_refused(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, words: tuple[str, ...], code: int, said: str
) -> None:
    """Each wrong call says what to do, and writes nothing to stdout."""
    workspace.project("app")
    assert orchestrate("start").code == 0
    done = orchestrate("export", "latest", *words)
    assert done.code == code
    assert said in done.stderr
    assert done.stdout == ""


def test_a_live_run(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A run that goes on has a summary and a picture, but neither JUnit nor spans (5, not-ended)."""
    workspace.project("app", {"build": "sleep 60"})
    run = orchestrate("start", "--detach", "--format", "json").document["run_id"]
    for form in ("junit", "otlp-json", "otlp"):
        refused = orchestrate("export", run, "--as", form, "--output", "x")
        assert (refused.code, "has not ended" in refused.stderr) == (5, True)
    for form in ("github-summary", "chrome-trace"):
        assert orchestrate("export", run, "--as", form).code == 0
    orchestrate("cancel", run)
    assert orchestrate("export", run, "--as", "junit").code == 0


def test_a_link_of_the_workspace(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """``[export] url`` is the run's link; an unknown key is refused with its name."""
    workspace.project("app")
    assert orchestrate("start").code == 0
    file = workspace.write(
        "workspace.toml", 'schema_version = 1\n[export]\nurl = "https://x.example/{project}/{run}"\n'
    )
    assert "https://x.example/app/20" in orchestrate("export", "--as", "github-summary").stdout
    file.write_text("schema_version = 1\n[export]\nurll = 1\n")
    refused = orchestrate("export", "--as", "github-summary")
    assert (refused.code, "workspace.toml: export.urll" in refused.stderr) == (2, True)
