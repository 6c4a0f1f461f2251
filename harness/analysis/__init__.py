"""What a run's figures say: tables, statistics, and the trials that may be compared.

What exercises may use are these modules' public names:

- `frames`: a `Run`, the tables of one run (its columns are those of the CSV files), and `records`, a table's rows
- `evidence`: finished trials, cells and baselines among them, pairs that differ in one column alone, their
  differences by seed, `Speeds`, intervals as columns and in words, the shapes of trained weights
- `judging`: primary tests and secondary ones, judged each as a family, as rows of evidence and in words
- `nuisances`: settings that are tuned rather than compared, and each model at its best values of them
- `recipes`: what training figures rest on: rates that were not tuned, and models that were still learning
- `probed`: what probes measured, by seed and as curves over seeds
- `statistics`: intervals of means and medians, paired differences, corrections for several tests
- `learning_curves`: a law fitted to loss by training text, and how wrong it was about a size it had not seen
- `text_intervals`: how far a loss, or a difference of two models, depends on the text: intervals over blocks of it
- `wording`: numbers, lists and models in words
"""

__all__ = [
    "evidence",
    "frames",
    "judging",
    "learning_curves",
    "nuisances",
    "probed",
    "recipes",
    "statistics",
    "text_intervals",
    "wording",
]
