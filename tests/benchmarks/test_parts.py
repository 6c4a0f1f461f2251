"""Where a step goes: every product of it is found and counted, and the parts make the whole."""

import pandas as pd
import pytest

from benchmarks import parts
from benchmarks.peers.given import Shape
from harness_native.compiling import find_compiler

pytestmark = pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler for the kernels")
SHAPE = Shape(num_hiddens=16, batch_size=4, num_steps=5, num_layers=2)


@pytest.mark.parametrize(("cell", "gates"), [("rnn", 1), ("gru", 3), ("lstm", 4)])
def test_every_product_is_counted(cell, gates):
    step = parts._model_step(cell, SHAPE)
    with parts.recording(SHAPE) as found:
        step()
    h, num_tokens = SHAPE.num_hiddens, SHAPE.batch_size * SHAPE.num_steps
    # Of each layer's weights the product, their gradient and their inputs'; the first layer's inputs are looked up. Of
    # the output's weights the gradient alone is told apart.
    assert sum(found.operations.values()) == num_tokens * (6.0 * 3 * gates * h * h + 2.0 * parts.VOCAB_SIZE * h)


@pytest.mark.alone
def test_the_parts_make_the_step(tmp_path):
    asked = ("--shape", str(SHAPE), "--cells", "gru", "--rounds", "9", "--block-seconds", "0.02")
    assert parts.main([*asked, "--out", str(tmp_path)]) == 0
    table = pd.read_csv(tmp_path / "parts.csv").set_index("part")
    inside = table[~table.index.str.startswith(("whole", "alone"))]
    assert inside["share_of_step"].sum() == pytest.approx(1, abs=0.2)
    assert (inside.loc[inside["gflop_per_s"].notna(), "share_of_peak"] > 0).all()
