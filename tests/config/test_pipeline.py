"""What a stage may be: serial channels."""

from __future__ import annotations

import pytest

from hwgen.config.pipeline import StageConfig, StageKind
from hwgen.errors import HwgenError

STAGE = StageConfig(name="dw", kind=StageKind.DEPTHWISE, source="input", channels=8, height=6, width=6, out_channels=8,
                    out_height=6, out_width=6, kernel=(3, 3), padding=(1, 1, 1, 1), pe=2, simd=3, lanes=2)


def test_serial_channels_come_in_blocks():
    serial = STAGE.replace(serial=True)
    assert (STAGE.parts, STAGE.part_channels) == (1, 8)
    assert (serial.parts, serial.part_channels) == (4, 2)
    assert serial.steps == STAGE.steps and serial.depth == STAGE.depth
    # of the window: taps, each with the channels of the block
    assert [serial.value_place(n, 1) for n in (0, 1, 8, 9)] == [1, 3, 17, None]
    assert [STAGE.value_place(n, 3) for n in (0, 1, 8, 9)] == [3, 11, 67, None]


@pytest.mark.parametrize("changes", [
    {"kind": StageKind.DENSE, "simd": 2}, {"pe": 8, "lanes": 8}, {"pe": 6},
    {"whole": True, "padding": (0, 0, 0, 0), "simd": 1},
    {"tile": (2, 1), "out_tile": (2, 1), "channels": 16, "out_channels": 16}])
def test_serial_is_refused_where_it_means_nothing(changes):
    other = STAGE.replace(**changes)
    assert not other.can_be_serial
    with pytest.raises(HwgenError, match="True is not possible") as error:
        other.replace(serial=True)
    assert error.value.where == "stage dw: serial"
