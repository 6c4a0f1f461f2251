"""Published protocols as files of options; see `harness.experiments`."""
