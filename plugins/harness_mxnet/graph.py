"""A forward pass recorded once and replayed as one operator, so that Python isn't run for each step in time."""

from collections.abc import Callable, Sequence
from typing import Any

from mxnet import autograd, nd

Array = Any


class Graph:
    """A forward pass for one set of shapes; call it as one differentiable operator.

    From Python, some thousand operators a minibatch take longer to start than a small model's take to run.
    """

    def __init__(
        self,
        forward: Callable[[Sequence[Array]], Sequence[Array]],
        inputs: Sequence[Array],
        parameters: Sequence[Array],
        constants: Sequence[Array],
    ) -> None:
        """Record ``forward(inputs)``; it also uses the ``parameters`` and the ``constants`` there are at its end."""
        stand_ins = [array.copy() for array in inputs]
        for array in stand_ins:
            array.attach_grad()
        # Not in training mode, where dropout would draw a mask and so shift all those to come.
        with autograd.record(train_mode=False):
            outputs = forward(stand_ins)
            # Graphs taken one by one would share no nodes: take them as the inputs of an operator that takes any.
            joined = nd.multi_sum_sq(*outputs, num_arrays=len(outputs))
        symbol = autograd.get_symbol(joined).get_children()
        self._fixed = [*parameters, *constants]
        places = {autograd.get_symbol(array).name: place for place, array in enumerate([*stand_ins, *self._fixed])}
        self._order = [places[name] for name in symbol.list_inputs()]
        flags = {
            "static_alloc": True,
            "static_shape": True,
            "data_indices": [index for index, place in enumerate(self._order) if place < len(inputs)],
            "param_indices": [index for index, place in enumerate(self._order) if place >= len(inputs)],
        }
        self._operator = nd.CachedOp(symbol, list(flags.items()))

    def __call__(self, inputs: Sequence[Array]) -> list[Array]:
        """Return the outputs for inputs of the shapes it was recorded with."""
        arrays = [*inputs, *self._fixed]
        outputs: list[Array] = self._operator(*(arrays[place] for place in self._order))
        return outputs
