"""The fixed-window network: a language model without recurrent connections."""
