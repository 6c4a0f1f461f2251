"""One target an order, for the descriptors to name."""

from functools import partial

from harness_ngram.model import fit

order_1 = partial(fit, 1)
order_2 = partial(fit, 2)
order_3 = partial(fit, 3)
order_4 = partial(fit, 4)
order_5 = partial(fit, 5)
order_6 = partial(fit, 6)
