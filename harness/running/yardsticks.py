"""Fits a yardstick unasked to each text that trained: a trial that needs far less than it is suspect."""

from collections.abc import Sequence
from dataclasses import replace

from harness.contracts.descriptors import Baseline
from harness.contracts.files import read_sealed, write_sealed
from harness.environments import why_not
from harness.errors import HarnessError
from harness.grid.plan import baseline_trial
from harness.machine import interruption
from harness.machine.folders import default_cache_dir, keep_in_cache
from harness.record.ledger import Ledger
from harness.record.yardstick import is_suspect
from harness.running.jobs import files_of, place_in
from harness.running.observer import Say
from harness.running.workplace import Workplace
from harness.worker.events import EpochEnded
from harness.worker.job import BaselineJob, SampleRequest
from harness.worker.trial import Trial

MOST_TOKENS = 300_000
"""Of a training text: of more, counting takes longer than a second or two."""


def hold_against_yardsticks(workplace: Workplace, ledger: Ledger, trials: Sequence[Trial], say: Say) -> None:
    """Record beside each finished trial what the yardstick needs on its text, and name those that are suspect.

    A text whose yardstick can't be fitted has none. Raises: KeyboardInterrupt after a signal; RunFolderError.
    """
    known, losses, statuses = ledger.facts("yardstick_valid_loss"), ledger.last_losses(), ledger.statuses()
    yardstick = next((each for each in workplace.registry.baselines.values() if each.is_yardstick), None)
    if yardstick is None or why_not(yardstick):
        return
    finished = [trial for trial in trials if statuses[trial.trial_id] == "ok" and trial.trial_id in losses]
    due = [trial for trial in finished if known.get(trial.trial_id) is None]
    by_text: dict[str, list[Trial]] = {}
    for trial in due:
        if trial.cell != yardstick.name and trial.train_tokens <= MOST_TOKENS:
            by_text.setdefault(trial.corpus_digest, []).append(trial)
    for alike in by_text.values():
        loss = _needed(workplace, yardstick, alike[0], say)
        for trial in alike if loss is not None else ():
            ledger.add_facts(trial.trial_id, {"yardstick_valid_loss": loss})
        suspects = [trial.trial_id for trial in alike if loss is not None and is_suspect(losses[trial.trial_id], loss)]
        if suspects:
            say(
                f"Suspect, and not ranked: {', '.join(suspects)} needs less than half of the {loss:.3f} nats a token "
                f"of {yardstick.name} on the same text. Look for held-out text in what trains, or a cell that sees "
                "what it predicts."
            )


def _needed(workplace: Workplace, yardstick: Baseline, trial: Trial, say: Say) -> float | None:
    """Return the yardstick's loss on a text's validation part, computed now where it is not in the cache."""
    source = workplace.revisions.sources.digest(yardstick.target.partition(":")[0])
    path = default_cache_dir() / "yardsticks" / f"{trial.corpus_digest}-{source}.json"
    stored = read_sealed(path)
    if isinstance(stored, float):
        return stored
    corpus, slot = workplace.corpus(trial), workplace.slots[0].without_gpu()
    job = BaselineJob(
        place=place_in(slot),
        module_paths=workplace.registry.module_paths,
        trial=baseline_trial(yardstick, corpus),
        target=yardstick.target,
        text=replace(files_of(corpus), held_out=()),
        sample=SampleRequest(prefix=corpus.prefix, num_tokens=1, temperature=0.0, seed=0),
    )
    try:
        ended = interruption.run(workplace.answer(job, None, slot, f"yardstick-{trial.corpus_digest}", EpochEnded))
    except HarnessError:
        return None
    loss = float(ended.measures["valid_loss"])
    keep_in_cache(lambda: write_sealed(path, loss), path.parent, say)
    return loss
