"""PyTorch's plain loop: torch.nn.RNN, GRU or LSTM, a Linear layer, cross_entropy, clip_grad_norm_, SGD or another."""

import torch
from answering import answer_steps, data_of, layer_of, task

KINDS = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}
OPTIMIZERS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop}


def main():
    asked = task()
    torch.set_num_threads(asked.num_threads)
    minibatches, weights = data_of(asked)
    layers = KINDS[asked.cell](asked.vocab_size, asked.num_hiddens, asked.num_layers)
    output = torch.nn.Linear(asked.num_hiddens, asked.vocab_size)
    load(layers, output, weights)
    parameters = [*layers.parameters(), *output.parameters()]
    optimizer = OPTIMIZERS[asked.optimizer](parameters, lr=asked.learning_rate)
    state = None

    def step(X, Y):
        nonlocal state
        inputs = torch.nn.functional.one_hot(torch.from_numpy(X), asked.vocab_size).float()
        hiddens, state = layers(inputs, state)
        state = tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()
        loss = torch.nn.functional.cross_entropy(output(hiddens).flatten(0, 1), torch.from_numpy(Y).flatten())
        optimizer.zero_grad()
        loss.backward()
        if asked.grad_clip:
            torch.nn.utils.clip_grad_norm_(parameters, asked.grad_clip)
        optimizer.step()
        return loss

    answer_steps(asked, minibatches, step, lambda loss: loss.item(), f"torch {torch.__version__}")


def load(layers, output, weights):
    """Copy the canonical weights in: the layouts are the same."""
    with torch.no_grad():
        for layer in range(layers.num_layers):
            for name, array in zip(
                ("weight_ih", "weight_hh", "bias_ih", "bias_hh"), layer_of(weights, layer), strict=True
            ):
                getattr(layers, f"{name}_l{layer}").copy_(torch.from_numpy(array))
        output.weight.copy_(torch.from_numpy(weights["output.W"]))
        output.bias.copy_(torch.from_numpy(weights["output.b"]))


if __name__ == "__main__":
    main()
