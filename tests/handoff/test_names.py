"""Names of others stay names: in files, folders, Tcl, comments."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest

from hwgen.handoff.archive import write_archive
from hwgen.handoff.names import plain_text, safe_name, tcl_word

HOSTILE = ["a[exec touch pwned] b", "$env(HOME)", "}", "{", "a\\", "a\nexit 1\n",
           '"; exec touch pwned; "', "../../evil x",
           "C:\\x", "netz_für_größe", "模型", "😀",
           "\u202egnp", "3net", "#", "-rf", "", '"""\nimport os', "<b>`x`</b>"]


@pytest.mark.parametrize(("name", "safe"), [
    ("resnet18_tt", "resnet18_tt"), ("small-pynq-z2", "small-pynq-z2"),
    ("a[exec touch pwned] b", "a_exec_touch_pwned_b"),
    ("../../evil x", "evil_x"), ("netz_für_größe", "netz_fur_groe"),
    ("模型", "unnamed"), ("", "unnamed"), ("3net", "n_3net"),
    ("-rf", "rf"), ("v1.2/net", "v1_2_net"), ("a" * 100, "a" * 64),
])
def test_safe_names(name: str, safe: str) -> None:
    assert safe_name(name) == safe
    assert safe_name(safe) == safe


@pytest.mark.parametrize("name", HOSTILE)
def test_a_tcl_word_is_its_text(name: str) -> None:
    tcl = pytest.importorskip("tkinter", reason="Python without Tcl (Debian: python3-tk)").Tcl()
    for command in ("touch", "exec", "exit"):
        tcl.createcommand(command, lambda *_: pytest.fail("executed"))
    word = tcl_word(name)
    assert word.isascii()
    value = tcl.eval(f"set value {word}\nset value")
    assert value == re.sub("[\n\u202e]", " ", name).replace("😀", "?")
    assert tcl.eval(f"llength [list {word}]") == "1"


@pytest.mark.parametrize("name", HOSTILE)
def test_plain_text_ends_nothing(name: str) -> None:
    text = plain_text(name)
    assert "\n" not in text
    assert not set(text) & set('\\"`<>[]{}$|#*')


def test_plain_text_keeps_what_titles_need() -> None:
    title = "AMD Kria KV260 vision starter kit (K26 SOM)"
    assert plain_text(title) == title


def test_an_archive_stays_below_its_folder(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a").write_text("x")
    write_archive(tmp_path / "files", tmp_path / "a.zip", "../../evil x")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == ["evil_x/a"]
