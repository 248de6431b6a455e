"""The command line: help, JSON, exit codes, messages without tracebacks, interrupts."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hwgen.cli.app import app
from hwgen.config.board import board_names
from hwgen.pipeline.graphfile import graph_weights
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.saved import save_request
from hwgen.resources import boards_dir, models_dir
from tests.helpers.small_build import build_small, small_onnx

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize(
    "command",
    ["build", "train", "compress", "search", "seal", "attack", "verify", "inspect", "report", "models", "boards"])
def test_help_has_examples(command: str) -> None:
    code, out, _ = run(command, "--help")
    assert code == 0
    assert f"hwgen {command}" in out
    assert "Example" in out


def test_boards() -> None:
    code, out, _ = run("boards")
    assert code == 0
    assert all(name in out for name in board_names())
    values = json.loads(run("boards", "zcu104", "--json")[1])
    assert values[0]["bytes_per_cycle"] == 40.0
    assert "UG1267" in run("boards", "zcu104")[1]


def test_models() -> None:
    code, out, _ = run("models")
    assert code == 0
    assert "resnet18_tt" in out
    assert json.loads(run("models", "resnet20", "--json")[1])[0]["name"] == "resnet20"


def test_search_prints_front_and_reasons(tmp_path: Path) -> None:
    model = str(small_onnx(tmp_path / "small.onnx"))
    code, out, _ = run("search", "--model", model, "--board", "pynq-z2", "--save", str(tmp_path / "config.json"))
    assert code == 0
    assert "It minimises" in out
    found = json.loads(run("search", "--model", model, "--board", "pynq-z2", "--json")[1])
    assert found["chosen"]["config"] == json.loads((tmp_path / "config.json").read_text())


def test_search_compares_styles(tmp_path: Path) -> None:
    model = str(small_onnx(tmp_path / "small.onnx"))
    base = ("search", "--model", model, "--board", "kv260")
    code, out, _ = run(*base, "--style", "auto", "--save", str(tmp_path / "config.json"))
    assert code == 0
    for text in ("points of the front", "a pipeline of", "Tensor engine:", "Streaming pipeline:", "was chosen"):
        assert text in out
    saved = json.loads((tmp_path / "config.json").read_text())
    assert json.loads(run(*base, "--style", "auto", "--json")[1])["chosen"]["config"] == saved
    alone = json.loads(run(*base, "--style", "stream", "--fps", "1000", "--json")[1])["chosen"]
    assert alone["config"]["pipeline"] is not None and alone["interval_cycles"] <= 300_000
    code, _, text = run(*base, "--style", "systolic")
    assert code != 0 and "systolic" in text and "stream" in text


def test_compress_writes_a_network_that_builds(tmp_path: Path) -> None:
    small_onnx(tmp_path / "small.onnx")
    target = tmp_path / "pruned.safetensors"
    code, out, _ = run("compress", "--model", str(tmp_path / "small.onnx"), "--keep", "0.5", "--multiple", "4", "--out",
                       str(target))
    assert code == 0
    assert "times fewer" in out
    assert build_small(tmp_path, model=str(target), last="compile")["compile"].summary["predicted_cold"] > 0


def test_inspect_and_report(tmp_path: Path) -> None:
    build_small(tmp_path)
    image = str(tmp_path / "build/seal/model.img")
    code, out, _ = run("inspect", image)
    assert code == 0
    assert "small" in out
    key = str(tmp_path / "build.development.key")
    shown = json.loads(run("inspect", image, "--key-file", key, "--json")[1])
    assert shown["program"] is not None
    assert run("report", str(tmp_path / "build"))[0] == 0
    assert json.loads(run("report", str(tmp_path / "build"), "--json")[1])["model"] == "small"


def test_report_without_a_build(tmp_path: Path) -> None:
    code, _, err = run("report", str(tmp_path))
    assert code == 2
    assert "holds no finished build" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "resnet18_t", "--board", "zcu104"), "did you mean resnet18_tt"),
        (("--model", "resnet20", "--board", "zcu014"), "did you mean zcu104"),
        (("--model", "missing.onnx", "--board", "zcu104"), "does not exist"),
        (("--model", "resnet20", "--board", "zcu104", "--data", "nowhere"), "'nowhere' does not exist"),
        (("--model", "resnet20", "--board", "zcu104", "--key-file", "nokey"), "'nokey' does not exist"),
        (("--model", "resnet20", "--board", "zcu104", "--frames", "1"), "2 or more"),
        (("--model", "resnet20", "--board", "zcu104", "--from", "bild"), "unknown step 'bild'"),
    ],
)
def test_bad_build_arguments(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    code, _, err = run("build", *arguments, "--out", str(tmp_path / "build"))
    assert code == 2
    assert message in " ".join(err.split())
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_board_too_small_names_resource_and_shortfall(tmp_path: Path) -> None:
    text = (boards_dir() / "pynq-z2.toml").read_text().replace("bram36 = 140", "bram36 = 9")
    (tmp_path / "tiny.toml").write_text(text)
    small_onnx(tmp_path / "small.onnx")
    model, board, out = (str(tmp_path / name) for name in ("small.onnx", "tiny.toml", "build"))
    code, _, err = run("build", "--model", model, "--board", board, "--out", out)
    assert code == 2
    assert "BRAM36" in err
    assert "has 9" in " ".join(err.split())
    assert sorted(p.name for p in (tmp_path / "build").iterdir() if p.is_dir()) == ["compress", "frontend"]


def test_configuration_file_mistakes(tmp_path: Path) -> None:
    small_onnx(tmp_path / "small.onnx")
    base = ("build", "--model", str(tmp_path / "small.onnx"), "--board", "pynq-z2", "--to", "search", "--out",
            str(tmp_path / "build"), "--config", str(tmp_path / "c.json"))
    for text, message in (("{", "no readable JSON"), ("[]", "one object"), ('{"p_j": 8}', "unknown field 'p_j'"),
                          ('{"p_i": 12}', "12 is not possible"), ('{"p_i": 64, "p_o": 64}', "pynq-z2 has")):
        (tmp_path / "c.json").write_text(text)
        code, _, err = run(*base)
        assert code == 2, text
        assert message in " ".join(err.split()), err


def test_corrupted_image(tmp_path: Path) -> None:
    build_small(tmp_path, last="seal")
    data = bytearray((tmp_path / "build/seal/model.img").read_bytes())
    data[-100] ^= 1
    (tmp_path / "bad.img").write_bytes(data)
    code, _, err = run("inspect", str(tmp_path / "bad.img"))
    assert code == 2
    assert "bad.img" in err
    wrong = tmp_path / "wrong.key"
    wrong.write_text("00" * 16)
    code, _, err = run("inspect", str(tmp_path / "build/seal/model.img"), "--key-file", str(wrong))
    assert code == 2
    assert "authentication failed" in err


def test_checkpoint_of_another_network(tmp_path: Path) -> None:
    weights = str(models_dir() / "aconvnet.safetensors")
    code, _, err = run("build", "--model", "resnet20", "--board", "zcu104", "--weights", weights, "--out",
                       str(tmp_path / "build"))
    assert code == 2
    assert "aconvnet.safetensors: tensor" in " ".join(err.split())
    assert list(tmp_path.iterdir()) == []


def test_missing_compiler_says_what_to_install(tmp_path: Path) -> None:
    build_small(tmp_path)
    save_request(BuildRequest(model=str(tmp_path / "small.onnx"), board="pynq-z2", out=tmp_path / "build"))
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'sim'}", "PATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", "from hwgen.cli import main; main()", "verify", str(tmp_path / "build"), "--cache",
         str(tmp_path / "cache")], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 4, done.stderr
    assert "g++" in done.stderr
    assert "apt" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_keeps_complete_steps_and_nothing_else(tmp_path: Path, number: signal.Signals) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'sim'}"}
    model = str(small_onnx(tmp_path / "small.onnx"))
    start = "from hwgen.cli import main; main()"
    command = [sys.executable, "-c", start, "build", "--model", model, "--board", "zcu104",
               "--no-verify", "--out", str(tmp_path / "build"), "--cache", str(tmp_path / "cache")]
    process = subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (tmp_path / "build" / "seal" / "step.json").exists():  # it is generating Verilog now
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.3)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "the same command continues" in " ".join(err.split())
    names = {p.name for p in (tmp_path / "build").iterdir()}
    assert ".work" not in names
    assert not (tmp_path / "build" / "rtl").exists()
    for folder in (tmp_path / "build").iterdir():
        assert not folder.is_dir() or (folder / "step.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("build", "-m", "MODEL", "-b", "pynq-z2", "--seed", "-1"), "--seed: -1"),
        (("build", "-m", "MODEL", "-b", "pynq-z2", "--compress", "nan"), "--compress: nan"),
        (("build", "-m", "MODEL", "-b", "pynq-z2", "--compress", "8"), "nothing to compress"),
        (("build", "-m", "MODEL", "-b", "pynq-z2", "--objective", "sped"), "unknown objective"),
        (("build", "-m", "MODEL", "-b", "pynq-z2", "--cache", "MODEL"), "--cache"),
        (("build", "-m", "MODEL", "-b", "pynq-z2", "--out", "/"), "not a build directory"),
        (("build", "-m", "MODEL", "-b", "pynq-z2", "--out", "MODEL"), "cannot be a build directory"),
        (("compress", "-m", "MODEL", "--macs-ratio", "nan"), "--macs-ratio: nan"),
        (("compress", "-m", "MODEL", "--macs-ratio", "0"), "--macs-ratio: 0"),
        (("compress", "-m", "MODEL", "--rank", "8"), "nothing to compress"),
        (("compress", "-m", "MODEL", "--keep", "0.5", "--out", "/nonexistent/x.safetensors"), "does not exist"),
        (("search", "-m", "MODEL", "-b", "pynq-z2", "--save", "/nonexistent/a.json"), "does not exist"),
        (("search", "-m", "MODEL", "-b", "pynq-z2", "--points", "0"), "--points: 0"),
        (("search", "-m", "MODEL", "-b", "pynq-z2", "--points", "-1"), "--points: -1"),
        (("verify", ".", "--frames", "0"), "2 or more"),
        (("verify", ".", "--tamper", "-1"), "--tamper: -1"),
        (("verify", "."), "holds no build"),
    ],
)
def test_bad_values_have_messages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    model = str(small_onnx(tmp_path / "small.onnx"))
    code, _, err = run(*(model if word == "MODEL" else word for word in arguments))
    assert code == 2
    assert message in " ".join(err.split())


def test_full_or_forbidden_disk_is_no_internal_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*rest: object, **named: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "some/file")

    monkeypatch.setattr("hwgen.pipeline.build.build", full)
    code, _, err = run("build", "-m", "resnet20", "-b", "zcu104", "--out", str(tmp_path / "b"))
    assert code == 2
    assert "some/file: No space left on device" in err


def test_defaults_in_brackets_are_shown() -> None:
    for command, text in (("build", "[build/MODEL-BOARD]"), ("train", "[train/MODEL]"), ("seal", "[seal/MODEL]"),
                          ("attack", "[attack/MODEL]"), ("train", "[train] section")):
        shown = run(command, "--help")[1]
        assert text in " ".join(shown.replace("│", " ").split()), command


def test_damaged_report(tmp_path: Path) -> None:
    build_small(tmp_path)
    (tmp_path / "build/report.json").write_text("{")
    code, _, err = run("report", str(tmp_path / "build"))
    assert code == 2
    assert "is damaged" in err


def test_random_weights_are_disclosed(tmp_path: Path) -> None:
    target = tmp_path / "net.safetensors"
    arguments = ("compress", "--model", "resnet8", "--keep", "0.9", "--out", str(target))
    assert "random weights" in run(*arguments)[1]
    assert json.loads(run(*arguments, "--json")[1])["weights"]["kind"] == "seeded"
    assert graph_weights(target)["kind"] == "seeded"
