"""What goes on in a run: workers are placed, trained, certified, timed, probed and shown."""
