"""Which plugins are there: finds, guards, checks and lists them."""
