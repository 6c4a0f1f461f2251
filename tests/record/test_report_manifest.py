import json

import pytest
from invented_runs import manifest

from harness.record.manifest import read_manifest


def test_a_whole_manifest_is_read_without_complaint(tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps(manifest()))
    read = read_manifest(tmp_path)
    assert read.command == manifest()["command"]
    assert read.corpora == manifest()["corpora"]
    assert read.problem == ""


def test_a_missing_manifest_is_said_to_be_missing(tmp_path):
    assert "missing" in read_manifest(tmp_path).problem


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "null", "\x00\x01", "[" * 100_000])
def test_a_damaged_manifest_is_said_to_be_damaged(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    assert "damaged" in read_manifest(tmp_path).problem


def test_a_manifest_that_is_not_text_is_said_to_be_damaged(tmp_path):
    (tmp_path / "manifest.json").write_bytes(b"\xff\xfe\x00")
    assert "damaged" in read_manifest(tmp_path).problem


def test_a_part_of_the_wrong_kind_is_named_and_the_rest_is_kept(tmp_path):
    values = manifest(command="harness run", corpora=["bronte"])
    (tmp_path / "manifest.json").write_text(json.dumps(values))
    read = read_manifest(tmp_path)
    assert read.command == []
    assert read.packages == values["packages"]
    assert "command, corpora" in read.problem
