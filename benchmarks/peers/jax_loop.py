"""JAX's plain loop: lax.scan over each cell's step, inputs projected before it, one jitted step with SGD."""

import os

import jax
import jax.numpy as jnp
from answering import answer_steps, data_of, layer_of, task

asked = task()
os.environ["NPROC"] = str(asked.num_threads)  # sizes XLA's thread pool, and is read when its first device is opened


def rnn(projected, W_h, b_h, state):
    def step(H, x):
        H = jnp.tanh(x + H @ W_h.T + b_h)
        return H, H

    H, outputs = jax.lax.scan(step, state[0], projected)
    return outputs, (H,)


def gru(projected, W_h, b_h, state):
    def step(H, x):
        x_r, x_z, x_n = jnp.split(x, 3, axis=-1)
        h_r, h_z, h_n = jnp.split(H @ W_h.T + b_h, 3, axis=-1)
        r, z = jax.nn.sigmoid(x_r + h_r), jax.nn.sigmoid(x_z + h_z)
        n = jnp.tanh(x_n + r * h_n)
        H = (1 - z) * n + z * H
        return H, H

    H, outputs = jax.lax.scan(step, state[0], projected)
    return outputs, (H,)


def lstm(projected, W_h, b_h, state):
    def step(carry, x):
        H, C = carry
        i, f, g, o = jnp.split(x + H @ W_h.T + b_h, 4, axis=-1)
        C = jax.nn.sigmoid(f) * C + jax.nn.sigmoid(i) * jnp.tanh(g)
        H = jax.nn.sigmoid(o) * jnp.tanh(C)
        return (H, C), H

    state, outputs = jax.lax.scan(step, state, projected)
    return outputs, state


CELL = {"rnn": rnn, "gru": gru, "lstm": lstm}[asked.cell]


def loss_of(params, X, Y, state):
    inputs = jax.nn.one_hot(X, asked.vocab_size)
    after = []
    for (W_x, W_h, b_x, b_h), before in zip(params["layers"], state, strict=True):
        inputs, last = CELL(inputs @ W_x.T + b_x, W_h, b_h, before)
        after.append(last)
    log_probabilities = jax.nn.log_softmax(inputs @ params["W"].T + params["b"])
    losses = -jnp.take_along_axis(log_probabilities, Y[..., None], axis=-1)
    return losses.mean(), tuple(after)


@jax.jit
def train_step(params, X, Y, state):
    (loss, state), gradients = jax.value_and_grad(loss_of, has_aux=True)(params, X, Y, state)
    scale = asked.learning_rate
    if asked.grad_clip:
        norm = jnp.sqrt(sum(jnp.vdot(g, g) for g in jax.tree.leaves(gradients)))
        scale = scale * jnp.minimum(1.0, asked.grad_clip / norm)
    return jax.tree.map(lambda p, g: p - scale * g, params, gradients), loss, state


def main():
    minibatches, weights = data_of(asked)
    layers = [tuple(map(jnp.asarray, layer_of(weights, layer))) for layer in range(asked.num_layers)]
    params = {"layers": layers, "W": jnp.asarray(weights["output.W"]), "b": jnp.asarray(weights["output.b"])}
    num_states = 2 if asked.cell == "lstm" else 1
    zeros = jnp.zeros((asked.batch_size, asked.num_hiddens))
    state = ((zeros,) * num_states,) * asked.num_layers

    def step(X, Y):
        nonlocal params, state
        params, loss, state = train_step(params, X.astype("int32"), Y.astype("int32"), state)
        return loss

    def read(loss):
        jax.block_until_ready((params, state))
        return loss

    answer_steps(asked, minibatches, step, read, f"jax {jax.__version__}")


if __name__ == "__main__":
    main()
