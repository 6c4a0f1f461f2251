"""Announces the compressors."""

from collections.abc import Sequence

from harness.contracts.hooks import Baseline, hookimpl

_FAMILY = "compressors"


@hookimpl
def harness_baselines() -> Sequence[Baseline]:
    """Return those of the standard library, and zstd where its package is installed."""
    return [
        Baseline(
            name="bz2",
            title="bzip2 -9 (Burrows-Wheeler, blocks of 900 kB)",
            source="Burrows and Wheeler 1994, SRC-RR-124",
            target="harness_compressors.compression:bz2",
            family=_FAMILY,
        ),
        Baseline(
            name="lzma",
            title="LZMA2 -9e (dictionary, range coder)",
            source="Ziv and Lempel 1977; Pavlov, 7-Zip",
            target="harness_compressors.compression:lzma",
            family=_FAMILY,
        ),
        Baseline(
            name="zstd",
            title="Zstandard -19 (dictionary, entropy coder)",
            source="Collet and Kucherawy 2021, RFC 8878",
            target="harness_compressors.compression:zstd",
            family=_FAMILY,
            requirements=("zstandard>=0.22",),
        ),
    ]
