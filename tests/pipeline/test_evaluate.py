"""Which accuracies stand beside each other, and what they are called."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwgen.errors import HwgenError
from hwgen.pipeline.images import data_images
from hwgen.pipeline.source import ModelSource
from hwgen.pipeline.steps.evaluate import accuracy_text, uncompressed_accuracy

RECORDED = {"float": 0.9152, "images": 10_000}


def test_a_network_that_was_not_compressed_is_its_own_float_network() -> None:
    assert uncompressed_accuracy(RECORDED, 0.9, 50, changed=False) == {"float": 0.9, "note": ""}


def test_a_figure_recorded_on_the_same_images_is_called_recorded() -> None:
    values = uncompressed_accuracy(RECORDED, 0.92, 10_000, changed=True)
    assert values["float"] == 0.9152
    assert values["note"].startswith("float: recorded")
    text = accuracy_text({"compressed": 0.92, "int8": 0.919, "images": 10_000, "dataset": "cifar10",
                          "source": "measured", **values})
    assert text == "float 91.52 % (recorded), compressed 92.00 %, int8 91.90 % on 10,000 images of cifar10 (measured)"


@pytest.mark.parametrize("recorded", [RECORDED, {"float": None, "images": 0}])
def test_a_figure_of_other_images_does_not_stand_beside_measured_ones(recorded: dict) -> None:
    values = uncompressed_accuracy(recorded, 0.96, 200, changed=True)
    assert values["float"] is None
    text = accuracy_text({"compressed": 0.96, "int8": 0.955, "images": 200, "dataset": "cifar10", "source": "measured",
                          **values})
    assert text == "compressed 96.00 %, int8 95.50 % on 200 images of cifar10 (measured)"


def test_images_for_a_network_that_does_not_say_how_they_are_prepared_are_refused(tmp_path: Path) -> None:
    source = ModelSource(name="net", recipe=None, file=tmp_path / "net.onnx")
    with pytest.raises(HwgenError, match="how its images are prepared"):
        data_images(source, tmp_path, "test", count=2, seed=0)
