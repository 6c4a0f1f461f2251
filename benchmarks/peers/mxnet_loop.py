"""MXNet's plain loop: gluon.rnn.RNN (tanh), GRU or LSTM, Dense, SoftmaxCrossEntropyLoss, clip_global_norm, Trainer."""

import mxnet as mx
from answering import answer_steps, data_of, layer_of, task
from mxnet import autograd, gluon, nd

KINDS = {
    "rnn": lambda *sizes, **options: gluon.rnn.RNN(*sizes, activation="tanh", **options),
    "gru": gluon.rnn.GRU,
    "lstm": gluon.rnn.LSTM,
}


def main():
    asked = task()
    minibatches, weights = data_of(asked)
    layers = KINDS[asked.cell](asked.num_hiddens, asked.num_layers, input_size=asked.vocab_size)
    output = gluon.nn.Dense(asked.vocab_size, flatten=False, in_units=asked.num_hiddens)
    load(asked, layers, output, weights)
    layers.hybridize()
    output.hybridize()
    loss_of = gluon.loss.SoftmaxCrossEntropyLoss()
    parameters = [*layers.collect_params().values(), *output.collect_params().values()]
    trainer = gluon.Trainer(parameters, "sgd", {"learning_rate": asked.learning_rate})
    state = layers.begin_state(asked.batch_size)

    def step(X, Y):
        nonlocal state
        ids, targets = nd.array(X, dtype="int32"), nd.array(Y, dtype="int32")
        with autograd.record():
            hiddens, state = layers(nd.one_hot(ids, asked.vocab_size), state)
            loss = loss_of(output(hiddens).reshape((-1, asked.vocab_size)), targets.reshape(-1)).mean()
        loss.backward()
        state = [part.detach() for part in state]
        if asked.grad_clip:
            # Checking whether the norm is finite would wait for it.
            gradients = [parameter.grad() for parameter in parameters]
            gluon.utils.clip_global_norm(gradients, asked.grad_clip, check_isfinite=False)
        trainer.step(1)
        return loss

    def read(loss):
        nd.waitall()
        return loss.asscalar()

    answer_steps(asked, minibatches, step, read, f"mxnet {mx.__version__}")


def load(asked, layers, output, weights):
    """Copy the canonical weights in: the layouts are the same."""
    layers.initialize()
    output.initialize()
    for layer in range(asked.num_layers):
        for name, array in zip(
            ("i2h_weight", "h2h_weight", "i2h_bias", "h2h_bias"), layer_of(weights, layer), strict=True
        ):
            getattr(layers, f"l{layer}_{name}").set_data(nd.array(array))
    output.weight.set_data(nd.array(weights["output.W"]))
    output.bias.set_data(nd.array(weights["output.b"]))


if __name__ == "__main__":
    main()
