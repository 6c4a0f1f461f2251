"""The timing phase: every kind of trial alone on the device, in short blocks, in randomised interleaved rounds."""

from harness.running.timing.phase import TimingPhase
from harness.running.timing.session import EFFORTS

__all__ = ["EFFORTS", "TimingPhase"]
