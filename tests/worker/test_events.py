"""Events survive the pipe, and a line that is none is refused."""

import pytest

from harness.worker.events import EpochEnded, Failed, Progress, dump, parse


def test_an_event_reads_back_as_it_was_sent():
    for event in (Progress(epoch=1, fraction=0.5, loss=2.0, tokens_per_s=1e4), Failed(reason="a\nb “c”")):
        assert "\n" not in dump(event)
        assert parse(dump(event)) == event


@pytest.mark.parametrize(
    "line", ['{"event": "progress"}', '{"event": "party"}', "[1]", "hello", '{"event": "failed", "reason": "", "x": 1}']
)
def test_a_line_that_is_no_event_is_refused(line):
    with pytest.raises(ValueError, match=r"not|Expecting"):
        parse(line)


def test_a_measure_that_no_row_has_is_refused():
    epoch = EpochEnded(epoch=1, measures={"train_loss": 2.0, "valid_loss": 2.5}, blocks=((20, 0.5),))
    assert parse(dump(epoch)).measures == epoch.measures
    with pytest.raises(ValueError, match=r"no measure .* valid_los"):
        parse(dump(epoch).replace("valid_loss", "valid_los"))
