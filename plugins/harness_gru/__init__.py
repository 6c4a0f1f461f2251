"""The gated recurrent unit, in cuDNN's and in the textbook's form."""
