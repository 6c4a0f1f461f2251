"""From a selection of texts to arrays of token ids: sources, preprocessing, vocabulary, split and cache."""
