"""A language model in torch: a module with canonical parameters, trained by torch's own optimizers."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from harness.contracts.backends import Handle, Ids, State
from harness.contracts.measures import RANKS
from harness.contracts.optimization import (
    ADAM_BETA1,
    ADAM_BETA2,
    EPSILON,
    OPTIMIZERS,
    STEP,
    moment_name,
)
from harness.contracts.training import Training
from harness.contracts.weights import Weights

_TORCH_MOMENTS = {("adam", "m"): "exp_avg", ("adam", "v"): "exp_avg_sq", ("rmsprop", "v"): "square_avg"}


class Network(Protocol):
    """What differs between implementations: a forward pass over parameters with canonical names."""

    @property
    def parameters(self) -> Mapping[str, Tensor]:
        """The canonical parameters."""
        ...

    def initial_state(self, batch_size: int) -> State:
        """Return the zero state."""
        ...

    def logits(self, X: Tensor, state: State, *, training: bool) -> tuple[Tensor, State]:
        """Run forward."""
        ...


class TorchModel:
    """`harness.contracts.backends.Model` over a `Network`."""

    def __init__(self, network: Network, training: Training, device: torch.device) -> None:
        self._network = network
        self._training = training
        self._device = device
        self._parameters = list(network.parameters.values())
        self._optimizer = _optimizer(training, self._parameters)

    def load(self, weights: Weights) -> None:
        """Copy the weights in."""
        with torch.no_grad():
            for name, parameter in self._network.parameters.items():
                parameter.copy_(torch.from_numpy(np.ascontiguousarray(weights[name])))

    def weights(self) -> Weights:
        """Copy the weights out."""
        return {name: _to_numpy(parameter) for name, parameter in self._network.parameters.items()}

    def load_optimizer_state(self, arrays: Weights) -> None:
        """Restore step and moments; without any, start anew."""
        self._optimizer.state.clear()
        name = self._training.optimizer
        if STEP not in arrays or not OPTIMIZERS[name].moments:
            return
        for parameter_name, parameter in self._network.parameters.items():
            state = {"step": torch.tensor(float(arrays[STEP][0]))}
            for moment in OPTIMIZERS[name].moments:
                array = arrays[moment_name(moment, parameter_name)]
                state[_TORCH_MOMENTS[name, moment]] = torch.from_numpy(array).to(parameter).clone()
            self._optimizer.state[parameter] = state

    def optimizer_state(self) -> Weights:
        """Copy step and moments out; plain SGD has none."""
        arrays: Weights = {}
        name = self._training.optimizer
        for parameter_name, parameter in self._network.parameters.items():
            state = self._optimizer.state.get(parameter) or {}
            for moment in OPTIMIZERS[name].moments:
                if state:
                    arrays[moment_name(moment, parameter_name)] = _to_numpy(state[_TORCH_MOMENTS[name, moment]])
                    arrays[STEP] = np.array([float(state["step"])])
        return arrays

    def begin_epoch(self, epoch: int) -> None:
        """Seed dropout on every device, and set the learning rate."""
        for group in self._optimizer.param_groups:
            group["lr"] = self._training.learning_rate_in(epoch)
        torch.manual_seed(self._training.seed * 1_000_003 + epoch)

    def initial_state(self, batch_size: int) -> State:
        """Return the zero state."""
        return self._network.initial_state(batch_size)

    def train_step(self, X: Ids, Y: Ids, state: State) -> tuple[Handle, State]:
        """Backpropagate, clip, update; nothing here waits for the device."""
        self._optimizer.zero_grad(set_to_none=True)
        targets = self._ids(Y)
        logits, state = self._network.logits(self._ids(X), state, training=True)
        loss = _cross_entropy(logits, targets)
        loss.backward()
        norm = _clip_gradients([p.grad for p in self._parameters], self._training.grad_clip)
        self._optimizer.step()
        return _figures(loss, logits, targets, norm), _detached(state)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def evaluate_step(self, X: Ids, Y: Ids, state: State) -> tuple[Handle, State]:
        """Run forward only."""
        targets = self._ids(Y)
        logits, state = self._network.logits(self._ids(X), state, training=False)
        loss = _cross_entropy(logits, targets)
        figures = _figures(loss, logits, targets, torch.zeros_like(loss))
        return torch.cat((figures, _row_losses(logits, targets))), state

    def read(self, handles: Sequence[Handle]) -> NDArray[np.float64]:
        """Wait for the device: copying to the CPU does."""
        return torch.stack(tuple(handles)).double().cpu().numpy()  # type: ignore[no-any-return]

    def gradients(self, X: Ids, Y: Ids, state: State) -> tuple[float, Weights]:
        """Return loss and gradients."""
        logits, _ = self._network.logits(self._ids(X), state, training=False)
        loss = _cross_entropy(logits, self._ids(Y))
        gradients = torch.autograd.grad(loss, self._parameters)
        named = zip(self._network.parameters, gradients, strict=True)
        return loss.item(), {name: _to_numpy(gradient) for name, gradient in named}

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def logits(self, X: Ids, state: State) -> tuple[NDArray[np.floating[Any]], State]:
        """Run forward."""
        logits, state = self._network.logits(self._ids(X), state, training=False)
        return _to_numpy(logits), state

    def _ids(self, ids: Ids) -> Tensor:
        return torch.from_numpy(ids).to(self._device, non_blocking=True)


def _optimizer(training: Training, parameters: list[Tensor]) -> torch.optim.Optimizer:
    rate = training.learning_rate
    if training.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=rate)
    if training.optimizer == "adam":
        return torch.optim.Adam(parameters, lr=rate, betas=(ADAM_BETA1, ADAM_BETA2), eps=EPSILON)
    return torch.optim.RMSprop(parameters, lr=rate, alpha=training.rmsprop_decay, eps=EPSILON)


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(logits.flatten(0, 1), targets.flatten())


def _clip_gradients(gradients: list[Tensor], largest: float) -> Tensor:
    """Scale the gradients in place to a global norm of at most ``largest``; return the norm before.

    `clip_grad_norm_` adds 1e-6 to the norm; the other backends and D2L don't.
    """
    norm = torch.nn.utils.get_total_norm(gradients)
    if largest:
        torch._foreach_mul_(gradients, torch.clamp(largest / norm, max=1.0))
    return norm


def _figures(loss: Tensor, logits: Tensor, targets: Tensor, norm: Tensor) -> Tensor:
    with torch.no_grad():
        target = logits.gather(-1, targets.unsqueeze(-1))
        # What is not a number is not below the target, and is no target that could be hit.
        rank = logits.shape[-1] - (logits < target).sum(-1)
        known = target.squeeze(-1).isfinite()
        accuracies = (((rank <= k) & known).to(loss.dtype).mean() for k in RANKS)
        return torch.stack((loss.detach(), *accuracies, norm))


def _row_losses(logits: Tensor, targets: Tensor) -> Tensor:
    losses = functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
    return losses.view_as(targets).mean(0)


def _detached(state: State) -> State:
    if isinstance(state, tuple):
        return tuple(_detached(part) for part in state)
    return state.detach()


def _to_numpy(tensor: Tensor) -> NDArray[np.floating[Any]]:
    return tensor.detach().cpu().numpy().copy()  # type: ignore[no-any-return]
