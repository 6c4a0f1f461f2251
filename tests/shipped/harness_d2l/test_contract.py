"""The eight exercises pass the contract suite of exercises."""

import pytest

from harness.testing import ExerciseContract

pytestmark = pytest.mark.slow


class TestDeepRnn1(ExerciseContract):
    target = "harness_d2l.deep_rnn_1"


class TestDeepRnn2(ExerciseContract):
    target = "harness_d2l.deep_rnn_2"


class TestDeepRnn3(ExerciseContract):
    target = "harness_d2l.deep_rnn_3"


class TestDeepRnn4(ExerciseContract):
    target = "harness_d2l.deep_rnn_4"


class TestRnn1(ExerciseContract):
    target = "harness_d2l.rnn_1"


class TestRnn2(ExerciseContract):
    target = "harness_d2l.rnn_2"


class TestRnn3(ExerciseContract):
    target = "harness_d2l.rnn_3"


class TestRnn4(ExerciseContract):
    target = "harness_d2l.rnn_4"
