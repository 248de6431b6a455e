"""The simulator cache: made once, never half-made, safe with several makers; the key knows everything that matters."""

import threading
import time

import pytest

from hwgen_sim.cache import BuildCache, content_key
from hwgen_sim.runner import SimulatorSource
from hwgen_sim.toolchain import Toolchain

TOOLS = Toolchain(verilator="/v", verilator_version="5", compiler_version="g++ 12")


def test_made_once(tmp_path):
    cache, made = BuildCache(tmp_path / "cache"), []

    def make(folder):
        made.append(folder)
        (folder / "result").write_text("x")

    entry, cached = cache.get("key", make)
    assert not cached and (entry / "result").read_text() == "x"
    assert cache.get("key", make) == (entry, True) and len(made) == 1


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_nothing_is_left_of_a_failure(tmp_path, error):
    cache = BuildCache(tmp_path)

    def fail(folder):
        (folder / "half").write_text("x")
        raise error

    with pytest.raises(error):
        cache.get("key", fail)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]
    assert not cache.get("key", lambda folder: None)[1]


def test_what_a_killed_maker_left_is_swept(tmp_path):
    (tmp_path / "key.partial-abc").mkdir()
    (tmp_path / "other.partial-abc").mkdir()
    BuildCache(tmp_path).get("key", lambda folder: None)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["key", "other.partial-abc"]


def test_makers_of_one_entry_wait_for_the_first(tmp_path):
    made, results = [], []

    def make(folder):
        made.append(folder)
        time.sleep(0.2)

    threads = [threading.Thread(target=lambda: results.append(BuildCache(tmp_path).get("key", make))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1 and sorted(cached for _, cached in results) == [False, True, True, True]


def test_content_key_separates_parts():
    assert len({content_key(parts) for parts in (["ab", "c"], ["a", "bc"], ["abc"], ["abc", ""], [])}) == 5
    assert content_key([b"x"]) == content_key(["x"])


def test_simulator_keys():
    base = {"top": "t", "files": {"a.v": "module t; endmodule"}}
    changes = [{}, {"top": "u"}, {"files": {"b.v": "module t; endmodule"}}, {"files": {"a.v": "module t;endmodule"}},
               {"parameters": {"N": 1}}, {"parameters": {"N": 2}}, {"public": True}, {"waves": True}, {"threads": 2},
               {"optimise": False}]
    keys = {SimulatorSource(**{**base, **change}).key(TOOLS) for change in changes}
    assert len(keys) == len(changes)
    newer = Toolchain(verilator="/v", verilator_version="6", compiler_version="g++ 12")
    assert SimulatorSource(**base).key(newer) not in keys
    assert SimulatorSource(**base).key(TOOLS) == SimulatorSource(**base).key(TOOLS)
