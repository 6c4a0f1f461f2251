import hashlib
import logging
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pooch
import pytest

from harness.corpus.documents import CorpusRequest
from harness.errors import CorpusError
from harness_books.pinned import PinnedFile, read_pinned
from harness_books.time_machine import TIME_MACHINE, load

CONTENT = b"The Time Machine, by H. G. Wells\n" * 500
NOWHERE = "http://127.0.0.1:1/timemachine.txt"  # nothing listens there


class _Library(BaseHTTPRequestHandler):
    """A server whose every answer is named by its path."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        status = 404 if self.path == "/missing" else 200
        body = CONTENT.replace(b"H. G.", b"G. H.") if self.path == "/altered" else CONTENT
        self.send_response(status)
        if self.path != "/truncated-unannounced":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:1000] if self.path.startswith("/truncated") else body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def asked() -> list[str]:
    """The paths that were asked for, in order."""
    return []


@pytest.fixture
def server(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    library = ThreadingHTTPServer(("127.0.0.1", 0), type("Library", (_Library,), {"asked": asked}))
    thread = threading.Thread(target=library.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{library.server_port}"
    library.shutdown()
    library.server_close()
    thread.join()


def pin(*urls: str) -> PinnedFile:
    return replace(
        TIME_MACHINE,
        urls=urls,
        num_bytes=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        sha1=hashlib.sha1(CONTENT).hexdigest(),
    )


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*")) if folder.exists() else []


def test_the_file_is_downloaded_once(server: str, asked: list[str], request_here: CorpusRequest) -> None:
    assert read_pinned(pin(f"{server}/whole"), request_here) == CONTENT
    assert read_pinned(pin(f"{server}/whole"), request_here) == CONTENT
    assert asked == ["/whole"]
    assert files_in(request_here.downloads) == ["timemachine.txt"]


def test_nothing_is_shown_unless_asked_for(
    server: str, request_here: CorpusRequest, capfd: pytest.CaptureFixture[str]
) -> None:
    # The library's own logger has no parent, and its handler an older stderr than the one captured.
    said = logging.StreamHandler()
    pooch.get_logger().addHandler(said)
    read_pinned(pin(f"{server}/whole"), request_here)
    pooch.get_logger().removeHandler(said)
    assert capfd.readouterr() == ("", "")


def test_a_progress_bar_is_shown_on_stderr(
    server: str, request_here: CorpusRequest, capfd: pytest.CaptureFixture[str]
) -> None:
    read_pinned(pin(f"{server}/whole"), replace(request_here, show_progress=True))
    shown = capfd.readouterr()
    assert "100%" in shown.err
    assert shown.out == ""


@pytest.mark.parametrize("bad", ["missing", "altered", "truncated", "truncated-unannounced"])
def test_the_second_place_serves_where_the_first_fails(
    server: str, asked: list[str], request_here: CorpusRequest, bad: str
) -> None:
    assert read_pinned(pin(f"{server}/{bad}", f"{server}/whole"), request_here) == CONTENT
    assert asked == [f"/{bad}", "/whole"]
    assert files_in(request_here.downloads) == ["timemachine.txt"]


@pytest.mark.parametrize(
    ("bad", "cause"),
    [
        ("missing", "HTTP status 404"),
        ("altered", "other bytes than expected"),
        ("truncated", "no whole answer|other bytes than expected"),
        ("truncated-unannounced", "other bytes than expected"),
    ],
)
def test_a_bad_download_is_said_and_leaves_nothing(
    server: str, request_here: CorpusRequest, bad: str, cause: str
) -> None:
    remedy = r"Put the file into a folder as h-g-wells/the-time-machine\.txt and name that folder by --corpora-dir"
    with pytest.raises(CorpusError, match=rf"'time-machine' could not be downloaded: .*/{bad}: ({cause}).*{remedy}"):
        read_pinned(pin(f"{server}/{bad}"), request_here)
    assert files_in(request_here.downloads) == []


def test_no_network_is_said_for_every_place(request_here: CorpusRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(CorpusError, match=r":1/timemachine\.txt: no whole answer .*:1/again: no whole answer"):
        read_pinned(pin(NOWHERE, NOWHERE.replace("timemachine.txt", "again")), request_here)
    assert files_in(request_here.downloads) == []


def test_an_earlier_download_that_was_damaged_is_replaced(
    server: str, asked: list[str], request_here: CorpusRequest
) -> None:
    request_here.downloads.mkdir()
    (request_here.downloads / "timemachine.txt").write_bytes(CONTENT[:-1])
    assert read_pinned(pin(f"{server}/whole"), request_here) == CONTENT
    assert asked == ["/whole"]


def test_a_downloads_folder_that_cannot_be_written_is_said(
    server: str, tmp_path: Path, request_here: CorpusRequest
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CorpusError, match=r"could not be downloaded: .*(Not a directory|File exists)"):
        read_pinned(pin(f"{server}/whole"), replace(request_here, downloads=tmp_path / "file/downloads"))


@pytest.mark.parametrize("name", ["h-g-wells/the-time-machine.txt", "timemachine.txt"])
def test_a_mirror_is_read_and_nothing_downloaded(tmp_path: Path, request_here: CorpusRequest, name: str) -> None:
    path = tmp_path / "mirror" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    assert read_pinned(pin(NOWHERE), replace(request_here, mirror=tmp_path / "mirror")) == CONTENT
    assert files_in(request_here.downloads) == []


def test_a_mirror_without_the_file_is_no_hindrance(server: str, tmp_path: Path, request_here: CorpusRequest) -> None:
    assert read_pinned(pin(f"{server}/whole"), replace(request_here, mirror=tmp_path)) == CONTENT


def test_an_altered_file_in_the_mirror_is_said_and_not_papered_over(
    server: str, asked: list[str], tmp_path: Path, request_here: CorpusRequest
) -> None:
    (tmp_path / "timemachine.txt").write_bytes(CONTENT[:-1])
    message = r"timemachine\.txt is not the file expected \(16,499 bytes of 16,500, sha256 .*Remove it"
    with pytest.raises(CorpusError, match=message):
        read_pinned(pin(f"{server}/whole"), replace(request_here, mirror=tmp_path))
    assert asked == []


@pytest.mark.parametrize("wrong", [{"sha256": "0" * 64}, {"sha1": "0" * 40}])
def test_either_hash_alone_is_enough_to_refuse(
    tmp_path: Path, request_here: CorpusRequest, wrong: dict[str, str]
) -> None:
    (tmp_path / "timemachine.txt").write_bytes(CONTENT)
    with pytest.raises(CorpusError, match="is not the file expected"):
        read_pinned(replace(pin(NOWHERE), **wrong), replace(request_here, mirror=tmp_path))


def test_the_novel_is_one_document(request_here: CorpusRequest) -> None:
    mirror = Path(os.environ.get("HARNESS_CORPORA_DIR", "nowhere"))
    if not (mirror / TIME_MACHINE.mirror_paths[0]).is_file():
        pytest.skip("HARNESS_CORPORA_DIR names no folder with h-g-wells/the-time-machine.txt")
    (novel,) = load(replace(request_here, mirror=mirror))
    assert (novel.author, novel.title, len(novel.text)) == ("H. G. Wells", "The Time Machine", 178_979)
    assert novel.text.startswith("The Time Machine, by H. G. Wells [1898]\n")
