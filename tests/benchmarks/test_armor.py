"""What the benchmark of pruning measures beside the runs themselves."""

from __future__ import annotations

import argparse
from pathlib import Path
from types import ModuleType

import pytest

from hwgen.armor.robustness import Robustness, RobustnessSettings
from tests.helpers.benchmarks import script

armor = script("armor")


def test_autoattack_is_kept_beside_the_other_attacks(armor: ModuleType, tmp_path: Path,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured once; another number of images is another measurement."""
    counts: list[int] = []

    def measure(module: object, test: object, spec: object, settings: RobustnessSettings, _: object) -> Robustness:
        counts.append(settings.images)
        return Robustness(images=settings.images, accuracy={"clean": 0.9, "autoattack": 0.5},
                          settings=settings.to_dict())

    for name, value in (("measure_robustness", measure), ("load_dataset", lambda *_: None), ("load_graph", str),
                        ("GraphModule", str)):
        monkeypatch.setattr(armor, name, value)
    test = {"accuracy": {"clean": 0.95, "pgd20": 0.8}, "images": 1000,
            "settings": RobustnessSettings(epsilon=4.0, attacks=("pgd20",), images=1000).to_dict()}
    point = {"folder": str(tmp_path), "point": 3, "epsilon": 4.0, "model": "mobilenet_sar", "run": "r", "test": test}
    for images in (7, 7, 9):
        armor.autoattack([point], argparse.Namespace(autoattack=images, data=tmp_path), armor.Printer())
    assert counts == [7, 9]
    found = armor.measurements(point)
    assert [(clean, robust, attack, images) for clean, robust, _, attack, images in found] == [
        (0.95, 0.8, "pgd20", 1000), (0.9, 0.5, "autoattack", 9)]
    assert "AutoAttack" in found[1][2].describe(found[1][3])
