"""Keras's plain loop: SimpleRNN, GRU or LSTM layers and Dense in one tf.function, SGD with global_clipnorm."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")

import keras
import numpy as np
import tensorflow as tf
from answering import answer_steps, data_of, layer_of, task

KINDS = {"rnn": keras.layers.SimpleRNN, "gru": keras.layers.GRU, "lstm": keras.layers.LSTM}


def main():
    asked = task()
    tf.config.threading.set_intra_op_parallelism_threads(asked.num_threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    minibatches, weights = data_of(asked)
    stack = [
        KINDS[asked.cell](asked.num_hiddens, return_sequences=True, return_state=True) for _ in range(asked.num_layers)
    ]
    output = keras.layers.Dense(asked.vocab_size)
    load(asked, stack, output, weights)
    variables = [variable for layer in (*stack, output) for variable in layer.trainable_variables]
    optimizer = keras.optimizers.SGD(asked.learning_rate, global_clipnorm=asked.grad_clip or None)
    optimizer.build(variables)

    @tf.function
    def train_step(X, Y, state):
        with tf.GradientTape() as tape:
            inputs = tf.one_hot(tf.transpose(X), asked.vocab_size)  # (batch_size, num_steps, vocab_size)
            after = []
            for layer, before in zip(stack, state, strict=True):
                inputs, *last = layer(inputs, initial_state=list(before))
                after.append(tuple(last))
            logits = output(inputs)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.transpose(Y), logits=logits)
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        optimizer.apply(gradients, variables)
        return loss, tuple(after)

    num_states = 2 if asked.cell == "lstm" else 1
    zeros = tf.zeros((asked.batch_size, asked.num_hiddens))
    state = tuple((zeros,) * num_states for _ in stack)

    def step(X, Y):
        nonlocal state
        loss, state = train_step(tf.constant(X), tf.constant(Y), state)
        return loss

    about = f"tensorflow {tf.__version__}, keras {keras.__version__}"
    answer_steps(asked, minibatches, step, lambda loss: float(loss), about)


def load(asked, stack, output, weights):
    """Copy the canonical weights in: transposed, the GRU's gates as z, r, h, the other cells' two biases as one."""
    num_inputs = asked.vocab_size
    for index, layer in enumerate(stack):
        layer.build((None, None, num_inputs))
        num_inputs = asked.num_hiddens
        W_x, W_h, b_x, b_h = layer_of(weights, index)
        if asked.cell == "gru":
            W_x, W_h, b_x, b_h = (_update_gate_first(array) for array in (W_x, W_h, b_x, b_h))
        bias = np.stack([b_x, b_h]) if asked.cell == "gru" else b_x + b_h
        layer.set_weights([W_x.T, W_h.T, bias])
    output.build((None, None, num_inputs))
    output.set_weights([weights["output.W"].T, weights["output.b"]])


def _update_gate_first(stacked):
    r, z, n = np.split(stacked, 3)
    return np.concatenate([z, r, n])


if __name__ == "__main__":
    main()
