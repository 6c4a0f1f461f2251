import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from harness.contracts.corpora import CorpusRequest
from harness.errors import CorpusError
from harness_books.pinned import PinnedFile, read_pinned

CONTENT = b"The Time Machine, by H. G. Wells\n" * 500
NOWHERE = "http://127.0.0.1:1/timemachine.txt"  # nothing listens there


class _Library(BaseHTTPRequestHandler):
    """A server whose every answer is named by its path."""

    asked: list[str]

    def do_GET(self) -> None:
        since = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        if self.path == "/whole-only":
            since = 0
        self.asked.append(f"{self.path}@{since}" if since else self.path)
        status = 404 if self.path == "/missing" else 206 if since else 200
        body = (CONTENT.replace(b"H. G.", b"G. H.") if self.path == "/altered" else CONTENT)[since:]
        body += b"and more" if self.path == "/longer" else b""
        self.send_response(status)
        if self.path != "/truncated-unannounced":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:10_000] if self.path.startswith("/truncated") else body)

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


def pin(*urls: str, file: str = "h-g-wells/the-time-machine.txt") -> PinnedFile:
    return PinnedFile(
        corpus="time-machine",
        file=file,
        also=("timemachine.txt",),
        urls=urls,
        num_bytes=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
    )


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.name != ".lock")


def test_the_file_is_downloaded_once(server: str, asked: list[str], request_here: CorpusRequest) -> None:
    assert read_pinned(pin(f"{server}/whole"), request_here) == CONTENT
    assert read_pinned(pin(f"{server}/whole"), request_here) == CONTENT
    assert asked == ["/whole"]
    assert files_in(request_here.downloads) == ["the-time-machine.txt"]


def test_nothing_is_shown_unless_asked_for(
    server: str, request_here: CorpusRequest, capfd: pytest.CaptureFixture[str]
) -> None:
    read_pinned(pin(f"{server}/whole"), request_here)
    assert capfd.readouterr() == ("", "")


def test_a_progress_bar_is_shown_on_stderr(
    server: str, request_here: CorpusRequest, capfd: pytest.CaptureFixture[str]
) -> None:
    read_pinned(pin(f"{server}/whole"), replace(request_here, show_progress=True))
    shown = capfd.readouterr()
    assert "100%" in shown.err
    assert shown.out == ""


@pytest.mark.parametrize("bad", ["missing", "altered", "longer"])
def test_the_second_place_serves_where_the_first_fails(
    server: str, asked: list[str], request_here: CorpusRequest, bad: str
) -> None:
    assert read_pinned(pin(f"{server}/{bad}", f"{server}/whole"), request_here) == CONTENT
    assert asked == [f"/{bad}", "/whole"]
    assert files_in(request_here.downloads) == ["the-time-machine.txt"]


@pytest.mark.parametrize(
    ("bad", "cause"), [("missing", "HTTP status 404"), ("altered", "other bytes than"), ("longer", "other bytes than")]
)
def test_a_bad_download_is_said_and_leaves_nothing(
    server: str, request_here: CorpusRequest, bad: str, cause: str
) -> None:
    remedy = r"put the file into a folder as h-g-wells/the-time-machine\.txt and name that folder by --corpora-dir"
    with pytest.raises(CorpusError, match=rf"'time-machine' could not be downloaded: .*/{bad}: {cause}.*{remedy}"):
        read_pinned(pin(f"{server}/{bad}"), request_here)
    assert files_in(request_here.downloads) == []


@pytest.mark.parametrize(
    ("bad", "cause", "kept"),
    [
        ("truncated", "it ended too early", 8_192),
        ("truncated-unannounced", "it ended after 10,000 of 16,500 bytes", 10_000),
    ],
)
def test_a_truncated_download_is_said_and_the_next_one_goes_on_from_there(
    server: str, asked: list[str], request_here: CorpusRequest, bad: str, cause: str, kept: int
) -> None:
    with pytest.raises(CorpusError, match=rf"/{bad}: {cause} \(the same command goes on from there\)"):
        read_pinned(pin(f"{server}/{bad}"), request_here)
    assert files_in(request_here.downloads) == ["the-time-machine.txt.part"]
    assert read_pinned(pin(f"{server}/whole"), request_here) == CONTENT
    assert asked == [f"/{bad}", f"/whole@{kept}"]
    assert files_in(request_here.downloads) == ["the-time-machine.txt"]


@pytest.mark.parametrize(("path", "expected"), [("whole", ["/whole@900", "/whole"]), ("whole-only", ["/whole-only"])])
def test_the_beginning_of_another_file_is_not_gone_on_from(
    server: str, asked: list[str], request_here: CorpusRequest, path: str, expected: list[str]
) -> None:
    part = request_here.downloads / "h-g-wells/the-time-machine.txt.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 900)
    assert read_pinned(pin(f"{server}/{path}"), request_here) == CONTENT
    assert asked == expected


@pytest.mark.parametrize("name", ["../outside.txt", "a/../../outside.txt", "/etc/hostname"])
def test_a_path_that_climbs_out_of_the_folder_is_refused(
    server: str, asked: list[str], tmp_path: Path, request_here: CorpusRequest, name: str
) -> None:
    (tmp_path / "outside.txt").write_bytes(CONTENT)
    (tmp_path / "mirror").mkdir()
    for mirror in (None, tmp_path / "mirror"):
        with pytest.raises(CorpusError, match="leads out of the folder"):
            read_pinned(pin(f"{server}/whole", file=name), replace(request_here, mirror=mirror))
    assert asked == []


def test_a_link_that_leaves_the_mirror_is_refused(tmp_path: Path, request_here: CorpusRequest) -> None:
    (tmp_path / "outside.txt").write_bytes(CONTENT)
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror/timemachine.txt").symlink_to(tmp_path / "outside.txt")
    with pytest.raises(CorpusError, match=r"timemachine\.txt leads out of the folder .*not a link"):
        read_pinned(pin(NOWHERE), replace(request_here, mirror=tmp_path / "mirror"))


def test_no_network_is_said_for_every_place(request_here: CorpusRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(CorpusError, match=r":1/timemachine\.txt: no answer .*:1/again: no answer .*HTTPS_PROXY"):
        read_pinned(pin(NOWHERE, NOWHERE.replace("timemachine.txt", "again")), request_here)
    assert files_in(request_here.downloads) == []


def test_a_proxy_of_the_environment_is_used(
    server: str, asked: list[str], request_here: CorpusRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.delenv("no_proxy", raising=False)
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, server)
    assert read_pinned(pin("http://books.invalid/whole"), request_here) == CONTENT
    assert asked == ["http://books.invalid/whole"]


def test_an_earlier_download_that_was_damaged_is_replaced(
    server: str, asked: list[str], request_here: CorpusRequest
) -> None:
    damaged = request_here.downloads / "h-g-wells/the-time-machine.txt"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(CONTENT[:-1])
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


@pytest.mark.parametrize(
    ("content", "wrong"),
    [(CONTENT[:-1], "it has 16,499 of 16,500 bytes and may be cut off"), (CONTENT[:-1] + b"?", "it was altered")],
    ids=["cut off", "altered"],
)
def test_an_altered_file_in_the_mirror_is_said_and_not_papered_over(
    server: str, asked: list[str], tmp_path: Path, request_here: CorpusRequest, content: bytes, wrong: str
) -> None:
    (tmp_path / "timemachine.txt").write_bytes(content)
    message = rf"timemachine\.txt is not the file expected: {wrong} .*sha256 .*Remove it"
    with pytest.raises(CorpusError, match=message):
        read_pinned(pin(f"{server}/whole"), replace(request_here, mirror=tmp_path))
    assert asked == []
