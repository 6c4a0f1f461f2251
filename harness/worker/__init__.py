"""What runs inside a backend's interpreter: the training loop, the clocks, the model around the cells.

`python -m harness.worker JOB.json` trains one trial and reports each event as one JSON line on the
file descriptor named by the environment variable HARNESS_EVENTS_FD.
"""
