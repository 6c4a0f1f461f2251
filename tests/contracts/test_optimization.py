"""The optimizers' formulas against their papers, written out on one number."""

import math

import pytest

from harness.contracts.optimization import ADAM_BETA1, ADAM_BETA2, EPSILON, step_sizes


def test_adam_s_step_sizes_are_the_paper_s_bias_corrections():
    # Kingma and Ba 2015, algorithm 1: w -= rate * m_hat / (sqrt(v_hat) + epsilon)
    rate, gradient, m, v = 0.003, 0.7, 0.0, 0.0
    for step in range(1, 6):
        m = ADAM_BETA1 * m + (1 - ADAM_BETA1) * gradient
        v = ADAM_BETA2 * v + (1 - ADAM_BETA2) * gradient**2
        m_hat, v_hat = m / (1 - ADAM_BETA1**step), v / (1 - ADAM_BETA2**step)
        change = rate * m_hat / (math.sqrt(v_hat) + EPSILON)
        size, correction = step_sizes("adam", rate, step)
        assert size * m / (correction * math.sqrt(v) + EPSILON) == pytest.approx(change, rel=1e-14)
        # With one gradient again and again each corrected step is the whole rate.
        assert change == pytest.approx(rate, rel=1e-6)


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop"])
def test_the_others_steps_are_not_corrected(optimizer):
    assert step_sizes(optimizer, 0.5, 1) == (0.5, 1.0)
