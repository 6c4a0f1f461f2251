import numpy as np
import pytest

from harness.analysis.learning_curves import PowerLaw, fit, held_out_error

SIZES = (1e4, 3e4, 1e5, 3e5, 1e6)
LAW = PowerLaw(floor=1.8, factor=1.2, exponent=0.35, unit=1e5)


def losses(noise=0.0, seeds=3, law=LAW):
    generator = np.random.default_rng(7)
    return {size: list(float(law.at(size)) + noise * generator.normal(size=seeds)) for size in SIZES}


def test_a_power_law_is_found_again():
    found = fit(losses())
    assert found.law.floor == pytest.approx(1.8, abs=1e-4)
    assert found.law.exponent == pytest.approx(0.35, abs=1e-3)
    assert found.law.at(1e7) == pytest.approx(LAW.at(1e7), abs=1e-3)


@pytest.mark.slow
def test_the_bootstrap_interval_widens_with_the_noise_and_holds_the_truth():
    quiet, loud = fit(losses(0.003)), fit(losses(0.03))
    assert quiet.floor.low < 1.8 < quiet.floor.high
    assert loud.floor.high - loud.floor.low > 2 * (quiet.floor.high - quiet.floor.low)
    predicted = quiet.predict(1e7)
    assert predicted.low < float(LAW.at(1e7)) < predicted.high


def test_one_seed_a_size_has_no_interval():
    found = fit(losses(0.01, seeds=1))
    assert np.isnan(found.floor.low)
    assert np.isfinite(found.floor.estimate)


def test_too_few_sizes_are_not_fitted():
    assert fit({1e4: [3.0], 1e5: [2.5], 1e6: [2.2]}) is None
    assert fit({1e4: [3.0], 1e5: [2.5], 1e6: [2.2], 1e7: [np.nan]}) is None


def test_a_flat_or_rising_curve_is_fitted_without_failing():
    for values in ([2.0] * 5, [2.0, 2.1, 2.2, 2.3, 2.4]):
        assert fit({size: [value] for size, value in zip(SIZES, values, strict=True)}) is not None


def test_the_largest_size_held_out_shows_what_the_fit_is_worth():
    error, factor = held_out_error(losses())
    assert error == pytest.approx(0, abs=1e-3)
    assert factor == pytest.approx(1e6 / 3e5)
    worse = losses() | {1e6: [2.6, 2.6, 2.6]}
    assert held_out_error(worse)[0] == pytest.approx(2.6 - float(LAW.at(1e6)), abs=1e-3)
    assert held_out_error({1e4: [3.0], 1e5: [2.0], 1e6: [1.0]}) is None


@pytest.mark.slow
def test_the_interval_of_three_seeds_is_as_wide_as_three_seeds_leave_it():
    # The delta method's standard error of the floor, from the seeds' own: of three, t is 4.3 of them wide, and never
    # below the normal's 1.96.
    found = losses(0.01)
    sizes = np.array(SIZES)
    scaled = sizes / np.exp(np.mean(np.log(sizes)))
    law = fit(found).law
    powers = scaled**-law.exponent
    jacobian = np.column_stack([np.ones(len(sizes)), powers, -law.factor * powers * np.log(scaled)])
    errors = np.array([np.std(found[size], ddof=1) / np.sqrt(3) for size in SIZES])
    error = np.sqrt((np.linalg.pinv(jacobian)[0] ** 2 * errors**2).sum())
    floor = fit(found).floor
    assert 1.96 * error < (floor.high - floor.low) / 2 < 4.31 * error
