"""From a selection of texts to arrays of ids.

Sources, preparation, vocabulary, split and cache.
"""
