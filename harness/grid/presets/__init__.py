"""Published protocols as files of options; see `harness.grid.experiments`."""
