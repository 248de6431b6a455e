"""From a planned float graph and calibration images to an integer-only graph."""

from hwgen.quantize.calibrate import Calibration, calibrate
from hwgen.quantize.observe import Method
from hwgen.quantize.quantize import quantise

__all__ = ["Calibration", "Method", "calibrate", "quantise"]
