"""The eight exercises of the D2L chapters on RNNs and deep RNNs, answered by measurement."""
