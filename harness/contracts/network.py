"""The language model around the cells, written once over ``xp``: the scratch implementation of every backend.

Source: D2L `sec_rnn-scratch`, `sec_deep_rnn`.
"""

from dataclasses import dataclass
from functools import partial

from harness.contracts.cells import Equations, Params, Shapes, State
from harness.contracts.ops import Array, Ops
from harness.contracts.settings import Range, setting, values


@dataclass(frozen=True, kw_only=True)
class Structure:
    """The settings that shape a model."""

    vocab_size: int = setting(
        heading="Vocabulary", description="Different tokens of the corpus, <unk> among them.", early=True
    )
    num_layers: int = setting(
        1,
        heading="Layers",
        words="{} layers",
        description="Layers of the cell, one upon the other.",
        option="--layers",
        values=values("counts", "counts"),
        help="Depths, as in 1-4 or 1,2,4.",
        early=True,
    )
    num_hiddens: int = setting(
        128,
        heading="Hiddens",
        words="{} hiddens",
        description="Hidden units of each layer.",
        option="--hiddens",
        values=values("counts", "counts"),
        help="Hidden units a layer.",
        early=True,
    )
    dropout: float = setting(
        0.0,
        heading="Dropout",
        words="dropout {:g}",
        description="Share of the units between layers that a training step leaves out.",
        option="--dropout",
        values=values("numbers", "shares", low=0.0, high=1.0, open_low=False),
        help="Between layers, so that one layer alone has none.",
        early=True,
        acts=lambda settings: bool(settings["num_layers"] > 1),
        search=Range(low=0.0, high=0.5, scale="linear"),
    )


@dataclass(frozen=True, kw_only=True)
class Architecture(Structure):
    """The model: what shapes it, and in which numbers it computes."""

    dtype: str = "float32"


def layer_prefix(layer: int) -> str:
    """Return what a layer's canonical parameter names begin with."""
    return f"layers.{layer}."


def canonical_shapes(equations: Equations, architecture: Architecture) -> Shapes:
    """Return every parameter of the model in canonical order."""
    shapes: Shapes = {}
    num_inputs = architecture.vocab_size
    for layer in range(architecture.num_layers):
        for name, shape in equations.parameter_shapes(num_inputs, architecture.num_hiddens).items():
            shapes[layer_prefix(layer) + name] = shape
        num_inputs = architecture.num_hiddens
    shapes["output.W"] = (architecture.vocab_size, architecture.num_hiddens)
    shapes["output.b"] = (architecture.vocab_size,)
    return shapes


def layer_params(params: Params, layer: int) -> Params:
    """Return one layer's parameters under their short names."""
    prefix = layer_prefix(layer)
    return {name.removeprefix(prefix): value for name, value in params.items() if name.startswith(prefix)}


def initial_states(xp: Ops, equations: Equations, architecture: Architecture, batch_size: int) -> tuple[State, ...]:
    """Return each layer's zero state."""
    shape = (batch_size, architecture.num_hiddens)
    return tuple(tuple(xp.zeros(shape) for _ in equations.state_names) for _ in range(architecture.num_layers))


def logits(
    xp: Ops,
    equations: Equations,
    architecture: Architecture,
    params: Params,
    X: Array,
    states: tuple[State, ...],
    *,
    training: bool,
) -> tuple[Array, tuple[State, ...]]:
    """Run the stack of layers and the output layer over a minibatch.

    Shapes: X (num_steps, batch_size) token ids; logits (num_steps, batch_size, vocab_size).
    """
    inputs: Array = X
    last_states = []
    for layer, state in enumerate(states):
        own = layer_params(params, layer)
        if layer > 0 and training and architecture.dropout > 0:
            inputs = xp.dropout(inputs, architecture.dropout)
        prepare = getattr(equations, "prepare", None)
        prepared = own if prepare is None else prepare(own)
        inputs, state = xp.scan(partial(equations.step, xp, prepared), equations.project(xp, own, inputs), state)
        last_states.append(state)
    return xp.linear(inputs, params["output.W"], params["output.b"]), tuple(last_states)
