"""The runner: order, reuse, --from/--to, failures and interrupts leave completed steps and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hwgen.errors import HwgenError
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.runner import Run, StepEvent, run_pipeline
from hwgen.pipeline.step import Step, StepContext
from hwgen.pipeline.store import BuildStore


class Bench:
    """Three steps a -> b -> c that record when they ran."""

    def __init__(self, root: Path) -> None:
        self.root, self.ran, self.value = root, [], "1"
        self.fail: BaseException | None = None
        self.events: list[tuple[str, str]] = []

    def _run(self, name: str) -> Any:
        def run(context: StepContext) -> dict[str, Any]:
            self.ran.append(name)
            text = "".join((context.results[n] / "out").read_text() for n in context.results)
            (context.out / "out").write_text(text + name + (self.value if name == "b" else ""))
            if name == "b" and self.fail:
                raise self.fail
            return {"length": len(text)}
        return run

    def go(self, **options: Any) -> list[str]:
        self.ran = []
        self.events = []
        steps = [Step(name=n, title=n, needs=needs, code=(), run=self._run(n),
                      inputs=lambda request, n=n: {"value": self.value if n == "b" else ""})
                 for n, needs in (("a", ()), ("b", ("a",)), ("c", ("b",)))]

        def observe(event: StepEvent) -> None:
            self.events.append((event.step.name, event.state))

        run_pipeline(steps, BuildRequest(model="m", board="b", out=self.root / "build"),
                     Run(cache=self.root / "cache", observer=observe, **options))
        return self.ran

    def files(self) -> list[str]:
        root = self.root / "build"
        return sorted(str(p.relative_to(root)) for p in root.rglob("*")
                      if p.is_file() and p.name not in (".lock", ".hwgen"))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_runs_in_order_then_reuses(bench: Bench) -> None:
    assert bench.go() == ["a", "b", "c"]
    assert (bench.root / "build/c/out").read_text() == "ab1c"
    assert bench.go() == []
    assert bench.events == [("a", "reused"), ("b", "reused"), ("c", "reused")]


def test_changed_input_reruns_that_step_and_those_behind(bench: Bench) -> None:
    bench.go()
    bench.value = "2"
    assert bench.go() == ["b", "c"]
    assert (bench.root / "build/c/out").read_text() == "ab2c"


def test_from_and_to(bench: Bench) -> None:
    assert bench.go(last="b") == ["a", "b"]
    assert bench.go(first="b") == ["b", "c"]
    assert bench.go(first="c", last="c") == ["c"]


def test_equal_output_stops_the_chain(bench: Bench) -> None:
    bench.go()
    assert bench.go(first="a", last="a") == ["a"]
    assert bench.go() == []


@pytest.mark.parametrize("kind", [HwgenError("no"), KeyboardInterrupt(), RuntimeError("bug")])
def test_a_stop_in_the_middle_keeps_what_was_complete(bench: Bench, kind: BaseException) -> None:
    bench.fail = kind
    with pytest.raises(type(kind)):
        bench.go()
    assert bench.files() == ["a/out", "a/step.json"]
    bench.fail = None
    assert bench.go() == ["b", "c"]


def test_a_failing_rerun_keeps_the_old_result(bench: Bench) -> None:
    bench.go()
    bench.value, bench.fail = "2", KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        bench.go()
    assert (bench.root / "build/b/out").read_text() == "ab1"
    assert not (bench.root / "build/.work").exists()


def test_unknown_and_reversed_steps(bench: Bench) -> None:
    with pytest.raises(HwgenError, match="unknown step 'z'"):
        bench.go(first="z")
    with pytest.raises(HwgenError, match="comes after"):
        bench.go(first="c", last="a")


def test_two_builds_cannot_share_a_directory(bench: Bench) -> None:
    with BuildStore(bench.root / "build").lock(), pytest.raises(HwgenError, match="another build is at work"):
        bench.go()


def test_damaged_record_is_not_trusted(bench: Bench) -> None:
    bench.go()
    (bench.root / "build/b/step.json").write_text("{")
    assert bench.go() == ["b"]


def test_a_swallowed_interrupt_stops_at_the_end_of_the_step(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    swallowed = bench._run

    def signalled(name: str) -> Any:
        def run(context: StepContext) -> dict[str, Any]:
            if name == "b":
                monkeypatch.setattr("hwgen.interrupt._SEEN", [1.0])
            return swallowed(name)(context)
        return run

    monkeypatch.setattr(bench, "_run", signalled)
    with pytest.raises(KeyboardInterrupt):
        bench.go()
    assert bench.files() == ["a/out", "a/step.json"]
