"""Bits per character of a general compressor that has read the training text before.

A text's size given the training text is what it adds behind it: size(training + text) − size(training), in bits,
over its characters. On the training text itself it is size(training): there a compressor learns as it reads, and
that figure is a first reading's, not a model's that has seen it all. bzip2 forgets all but the block of 900 kB it is
in, so of a longer training text only the last piece helps. Sizes are whole bytes, and a compressor may cut its
blocks differently where there is more text, so a text of a few hundred characters is too short to tell anything.
The training text is compressed once: no library copies a compressor at work, but a forked process is a copy of it.

What is compressed is the text the networks see, prepared and in UTF-8, words parted by spaces.
"""

import bz2 as bzip2
import lzma as lempel_ziv_markov
import math
import os
import select
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from typing import NoReturn, Protocol

import numpy as np

from harness.contracts.backends import Tokens
from harness.contracts.baselines import Evaluation, Say, TrainingText

_CHUNK = 1 << 20
"""Tokens compressed between two signs of life."""
_UNKNOWN = "\N{REPLACEMENT CHARACTER}"
_SIGN_OF_LIFE_SECONDS = 1.0
_SMALLEST_WINDOW, _LARGEST_WINDOW = 1 << 20, 1 << 27
"""Bytes: 128 MB is the most that a usual decompressor accepts."""


class Stream(Protocol):
    """A compressor at work."""

    def compress(self, data: bytes, /) -> bytes:
        """Take more of the text; return what is done of it."""
        ...

    def flush(self) -> bytes:
        """Return the rest."""
        ...


class Compressed:
    """A compressor that has read the training text."""

    num_params = 0

    def __init__(self, open_stream: Callable[[int], Stream], text: TrainingText, say: Say) -> None:
        self._text = text
        # A window for the training text and as much again, the same for both sizes of a difference.
        window = 2 * sum(map(len, _encoded(text.ids, text)))
        self._stream = open_stream(min(max(window, _SMALLEST_WINDOW), _LARGEST_WINDOW))
        written = 0
        for chunk in _encoded(text.ids, text):
            written += len(self._stream.compress(chunk))
            say(0.5)
        self._flushed_bytes = self._behind(text.ids[:0], say)
        self.training = _evaluation(written + self._flushed_bytes, len(text.ids))

    def evaluate(self, ids: Tokens, say: Say) -> Evaluation:
        """Compress the text behind the training text."""
        return _evaluation(self._behind(ids, say) - self._flushed_bytes, len(ids))

    def _behind(self, ids: Tokens, say: Say) -> int:
        """Return the bytes still to come behind the training text and this one; the stream stays as it is."""
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            self._answer(ids, writer)
        os.close(writer)
        with os.fdopen(reader, "rb") as answer:
            while not select.select([answer], [], [], _SIGN_OF_LIFE_SECONDS)[0]:
                say(0.5)
            size = answer.read()
        _, status = os.waitpid(child, 0)
        if status or not size:
            raise RuntimeError(f"compressing failed: its process ended with {os.waitstatus_to_exitcode(status)}")
        return int(size)

    def _answer(self, ids: Tokens, writer: int) -> NoReturn:
        """Compress in a process of its own, a copy of this one, and end it."""
        status = 1
        try:
            size = sum(len(self._stream.compress(chunk)) for chunk in _encoded(ids, self._text))
            os.write(writer, b"%d" % (size + len(self._stream.flush())))
            status = 0
        except Exception:
            traceback.print_exc()  # into the trial's log
        finally:
            # Nothing that the worker has open is to be closed, flushed or told twice.
            os._exit(status)


def _evaluation(num_bytes: int, num_tokens: int) -> Evaluation:
    return Evaluation(num_tokens=num_tokens, loss=8 * num_bytes * math.log(2) / max(1, num_tokens))


def _encoded(ids: Tokens, text: TrainingText) -> Iterator[bytes]:
    """Yield the text of ids, in pieces, as UTF-8."""
    if text.tokens == "char":
        symbols = np.array([_UNKNOWN if symbol == "<unk>" else symbol for symbol in text.symbols])
        between = ""
    else:
        symbols = np.array(text.symbols)
        between = " "
    for start in range(0, len(ids), _CHUNK):
        words = symbols[ids[start : start + _CHUNK]].tolist()
        yield (between.join(words) + between).encode("utf-8")


def _open_bz2(window: int) -> Stream:  # noqa: ARG001 - its blocks have one size
    return bzip2.BZ2Compressor(9)


def _open_lzma(window: int) -> Stream:
    preset = 9 | lempel_ziv_markov.PRESET_EXTREME
    filters = [{"id": lempel_ziv_markov.FILTER_LZMA2, "preset": preset, "dict_size": window}]
    return lempel_ziv_markov.LZMACompressor(format=lempel_ziv_markov.FORMAT_XZ, filters=filters)


def _open_zstd(window: int) -> Stream:
    import zstandard

    settings = zstandard.ZstdCompressionParameters.from_level(19, window_log=(window - 1).bit_length())
    stream: Stream = zstandard.ZstdCompressor(compression_params=settings).compressobj()
    return stream


bz2 = partial(Compressed, _open_bz2)
lzma = partial(Compressed, _open_lzma)
zstd = partial(Compressed, _open_zstd)
