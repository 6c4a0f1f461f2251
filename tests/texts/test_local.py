import bz2
import gzip
import io
import lzma
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from harness.errors import CorpusError
from harness.texts import packing
from harness.texts.decoding import decode
from harness.texts.local import read_path

Write = Callable[[str, str | bytes], Path]


def zipped(**texts: str) -> bytes:
    """Return a ZIP archive of these texts, and of a picture."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in {**texts, "picture": "no text"}.items():
            archive.writestr(f"{name}.{'png' if name == 'picture' else 'txt'}", text)
    return file.getvalue()


def test_a_file_is_one_document_by_an_author_of_its_name(write: Write) -> None:
    (document,) = read_path(write("diary.txt", "Dear diary.\n"))
    assert (document.author, document.title, document.text) == ("diary", "diary", "Dear diary.\n")


def test_a_single_file_may_have_any_suffix(write: Write) -> None:
    assert read_path(write("notes.md", "# Notes"))[0].text == "# Notes"


def test_the_sub_folders_of_a_folder_are_its_authors(write: Write, tmp_path: Path) -> None:
    write("books/wells/time.txt", "t")
    write("books/wells/moon/one.txt", "m")
    write("books/austen/emma.TXT", "e")
    write("books/anonymous.txt", "a")
    documents = read_path(tmp_path / "books")
    assert [(document.author, document.title, document.text) for document in documents] == [
        ("books", "anonymous", "a"),
        ("austen", "emma", "e"),
        ("wells", "moon/one", "m"),
        ("wells", "time", "t"),
    ]


def test_the_current_folder_has_a_name_too(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write("books/a.txt", "a")
    monkeypatch.chdir(tmp_path / "books")
    assert [document.author for document in read_path(Path())] == ["books"]
    write("books/wells/time.txt", "t")
    assert [document.author for document in read_path(Path())] == ["books", "wells"]


def test_hidden_files_and_files_of_other_kinds_are_left_out(write: Write, tmp_path: Path) -> None:
    write("books/a.txt", "a")
    write("books/.b.txt", "b")
    write("books/.git/c.txt", "c")
    write("books/d.json", "{}")
    os.mkfifo(tmp_path / "books/pipe.txt")
    assert [document.title for document in read_path(tmp_path / "books")] == ["a"]


def test_links_out_of_the_folder_are_not_followed(write: Write, tmp_path: Path) -> None:
    write("books/a.txt", "a")
    secret = write("elsewhere/secret.txt", "secret")
    (tmp_path / "books/b.txt").symlink_to(secret)
    (tmp_path / "books/more").symlink_to(secret.parent, target_is_directory=True)
    (tmp_path / "books/gone.txt").symlink_to(tmp_path / "nowhere.txt")
    (tmp_path / "books/again.txt").symlink_to(tmp_path / "books/a.txt")
    assert [document.title for document in read_path(tmp_path / "books")] == ["a", "again"]


def test_a_folder_named_through_a_link_is_read(write: Write, tmp_path: Path) -> None:
    write("books/a.txt", "a")
    (tmp_path / "link").symlink_to(tmp_path / "books")
    assert [document.text for document in read_path(tmp_path / "link")] == ["a"]


def test_a_byte_order_mark_is_dropped() -> None:
    assert decode("\ufeffAlice".encode(), "alice.txt") == "Alice"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r\r\n", "\r"])
def test_every_line_end_becomes_a_line_feed(end: str) -> None:
    assert decode(f"one{end}two{end}".encode(), "a.txt") == "one\ntwo\n"


def test_a_publisher_s_licence_is_no_part_of_a_book(write: Write) -> None:
    marker = "*** {} OF THIS PROJECT GUTENBERG EBOOK X ***"
    header, licence = "The Project Gutenberg EBook of X", "Updated editions will replace the previous one."
    book = write("x.txt", f"{header}\r\n{marker.format('START')}\r\n\r\nText.\r\n{marker.format('END')}\r\n{licence}")
    assert read_path(book)[0].text == "Text."


def test_blank_lines_stay() -> None:
    assert decode(b"one\r\n\r\n\r\ntwo", "a.txt") == "one\n\n\ntwo"


@pytest.mark.parametrize("name", ["book.txt", "books/"])
def test_what_is_not_there_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(CorpusError, match=f"There is no file or folder .*{name.strip('/')}"):
        read_path(tmp_path / name)


@pytest.mark.parametrize("content", ["", " \n\n\t", "\ufeff"])
def test_an_empty_file_is_refused(write: Write, content: str) -> None:
    with pytest.raises(CorpusError, match=r"blank\.txt is empty; "):
        read_path(write("blank.txt", content))


def test_an_empty_file_among_others_is_refused_by_its_name(write: Write, tmp_path: Path) -> None:
    write("books/full.txt", "text")
    write("books/blank.txt", "")
    with pytest.raises(CorpusError, match=r"books/blank\.txt is empty"):
        read_path(tmp_path / "books")


def test_a_folder_without_text_files_is_refused(write: Write, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write("images/a.png", b"\x89PNG")
    for folder in ("empty", "images"):
        with pytest.raises(CorpusError, match=rf"{folder} holds no \.txt file"):
            read_path(tmp_path / folder)


def test_a_binary_file_is_refused(write: Write) -> None:
    with pytest.raises(CorpusError, match=r"model\.txt is not text: it has a NUL byte at offset 3;"):
        read_path(write("model.txt", b"abc\0def"))


def test_a_text_in_another_encoding_is_refused_with_the_place_and_the_remedy(write: Write) -> None:
    with pytest.raises(CorpusError, match=r"old\.txt is not UTF-8: byte 0xE9 at offset 1,003; .*iconv -f WINDOWS-1252"):
        read_path(write("old.txt", b"x" * 1_000 + "café noir".encode("latin-1")))


def test_mixed_encodings_are_said_and_no_conversion_of_the_whole_advised(write: Write) -> None:
    path = write("mixed.txt", "\ufeffcafé ".encode() + "café.".encode("cp1252"))
    with pytest.raises(CorpusError, match=r"mixed\.txt is not UTF-8: byte 0xE9 at offset 12; .*encodings are mixed"):
        read_path(path)


def test_the_offset_counts_the_byte_order_mark(write: Write) -> None:
    with pytest.raises(CorpusError, match="offset 4;"):
        read_path(write("old.txt", b"\xef\xbb\xbfa\xff"))


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("\ufeff日本".encode("utf-16"), "UTF-16"),
        ("\ufeff日本".encode("utf-16-be"), "UTF-16"),
        ("日本".encode("utf-32"), "UTF-32"),
        ("\ufeff日本".encode("utf-32-be"), "UTF-32"),
        ("long ago".encode("utf-16-le"), "UTF-16LE"),
        ("long ago".encode("utf-16-be"), "UTF-16BE"),
        ("long ago".encode("utf-32-le"), "UTF-32LE"),
        ("long ago".encode("utf-32-be"), "UTF-32BE"),
        (f"{'天地玄黄宇宙洪荒。' * 9}\n日月盈昃".encode("utf-16-le"), "UTF-16LE"),
        ("Все счастливые семьи похожи".encode("utf-16-le"), "UTF-16LE"),
        ("Все счастливые семьи похожи".encode("utf-16-be"), "UTF-16BE"),
    ],
)
def test_a_wide_encoding_is_named_with_or_without_its_mark(write: Write, content: bytes, named: str) -> None:
    with pytest.raises(CorpusError, match=rf"wide\.txt is {named}\b.*iconv -f {named} -t UTF-8"):
        read_path(write("wide.txt", content))


CYRILLIC = "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему. " * 20


@pytest.mark.parametrize(
    ("text", "encoding", "named"),
    [
        (CYRILLIC, "cp1251", "WINDOWS-1251"),
        (CYRILLIC, "koi8-r", "KOI8-R"),
        ("吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。" * 30, "shift_jis", "CP932"),
        ("天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏。学而时习之不亦说乎" * 30, "gbk", "GB18030"),
        ("Café déjà vu — “naïve” façade, Äpfel und Öl für Grüße. " * 20, "cp1252", "WINDOWS-1252"),
    ],
)
def test_the_encoding_a_text_is_likely_in_is_named_and_converts_it(
    write: Write, text: str, encoding: str, named: str
) -> None:
    with pytest.raises(CorpusError, match=rf"it looks like {named}\b.*iconv -f {named} -t UTF-8"):
        read_path(write("old.txt", text.encode(encoding)))
    assert text.encode(encoding).decode(named) == text


def test_a_file_cut_off_within_a_character_is_told_from_mixed_encodings(write: Write) -> None:
    with pytest.raises(CorpusError, match=r"cut\.txt ends within a character, at offset 10, .*head --bytes 10"):
        read_path(write("cut.txt", "naïve café".encode()[:-1]))


def test_a_cut_character_behind_plain_letters_may_be_one_of_another_encoding(write: Write) -> None:
    with pytest.raises(CorpusError, match=r"leave its last byte out: .*; if .*--encoding WINDOWS-1252\."):
        read_path(write("cut.txt", b"a" * 99 + b"\xc3"))


def test_a_mark_within_a_text_says_that_two_encodings_were_joined(write: Write) -> None:
    with pytest.raises(CorpusError, match=r"joined\.txt has a mark of UTF-16 at offset 8, within it"):
        read_path(write("joined.txt", b"long ago" + "long ago".encode("utf-16")))


@pytest.mark.parametrize(
    "content", [bytes(5000), b" \0" * 50 + bytes(500), b"  one\n  two\n" * 50 + b"\0" + b"three " * 50]
)
def test_a_nul_byte_alone_is_no_wide_encoding(write: Write, content: bytes) -> None:
    with pytest.raises(CorpusError, match="is not text: it has a NUL byte at offset"):
        read_path(write("nul.txt", content))


TEXT = "Time travels. "


@pytest.mark.parametrize(
    "pack",
    [
        gzip.compress,
        bz2.compress,
        lzma.compress,
        zstandard.ZstdCompressor().compress,
        lambda data: zipped(book=data.decode()),
        lambda data: gzip.compress(data[:7]) + gzip.compress(data[7:]),
    ],
)
def test_a_packed_text_is_read(write: Write, pack: Callable[[bytes], bytes]) -> None:
    (document,) = read_path(write("book.txt.gz", pack(TEXT.encode())))
    assert (document.author, document.text) == ("book", TEXT)


def test_packed_texts_of_a_folder_are_read_beside_the_others(tmp_path: Path) -> None:
    folder = tmp_path / "shelf"
    (folder / "Ann").mkdir(parents=True)
    (folder / "b.txt").write_text(TEXT)
    (folder / "Ann" / "g.txt.gz").write_bytes(gzip.compress(TEXT.encode()))
    (folder / "notes.gz").write_bytes(gzip.compress(b"no text"))
    documents = read_path(folder)
    assert [(each.author, each.title) for each in documents] == [("Ann", "g"), ("shelf", "b")]


@pytest.mark.parametrize("pack", [lambda data: data, gzip.compress])
def test_a_text_is_read_up_to_a_bound(write: Write, monkeypatch: pytest.MonkeyPatch, pack: Any) -> None:
    monkeypatch.setattr(packing, "MOST_BYTES", 1_000)
    with pytest.raises(CorpusError, match=r"long\.txt holds more than"):
        read_path(write("long.txt", pack(b"a" * 1_001)))
    assert len(read_path(write("short.txt", pack(b"a" * 1_000)))[0].text) == 1_000


def test_what_a_command_writes_is_read(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, TEXT.encode())
    os.close(writing)
    (document,) = read_path(Path(f"/dev/fd/{reading}"))
    assert document.text == TEXT


@pytest.mark.parametrize("encoding", ["cp1252", "shift_jis", "utf-16", "utf-16-le", "utf-32"])
def test_a_text_is_read_in_the_encoding_it_is_said_to_have(write: Write, encoding: str) -> None:
    text = "吾輩は猫である" if encoding == "shift_jis" else "café, \nÄpfel"
    path = write("old.txt", text.replace("\n", "\r\n").encode(encoding))
    assert read_path(path, encoding)[0].text == text
    with pytest.raises(CorpusError, match=r"old\.txt is "):
        read_path(path)


def test_a_text_of_one_s_own_keeps_its_encoding(here: Path, in_process: Any) -> None:
    (here / "old.txt").write_bytes("Café. ".encode("cp1252") * 200)
    assert in_process("corpora", "add", "old.txt", "--name", "old", "--encoding", "cp1252").returncode == 0
    assert "1,200 characters" in in_process("corpora", "show", "old").stdout
    assert "no encoding known here" in in_process("corpora", "show", "old.txt", "--encoding", "hex").stderr


def test_a_text_that_is_not_in_the_encoding_it_is_said_to_have_is_refused(write: Write) -> None:
    with pytest.raises(CorpusError, match=r"old\.txt is not utf-16: .*offset 4; give another --encoding"):
        read_path(write("old.txt", b"abcde"), "utf-16")


def test_marks_within_a_text_that_was_joined_go(write: Write) -> None:
    (document,) = read_path(write("joined.txt", "\ufeffone\n\ufefftwo"))
    assert document.text == "one\ntwo"


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (gzip.compress(b"text" * 99, mtime=0)[:-9], "gzip and cannot be unpacked"),
        (b"PK\x03\x04", "ZIP archive and cannot be unpacked"),
        (zipped(a="a", b="b"), "ZIP.* 2 .txt files, not one: unzip"),
        (b"%PDF-1.7", "PDF.*pdftotext"),
        (b"PK\x05\x06" + bytes(18), "empty ZIP archive"),
    ],
)
def test_what_is_no_plain_text_is_named_for_what_it_is(write: Write, content: bytes, named: str) -> None:
    with pytest.raises(CorpusError, match=rf"packed\.txt (is|begins as) .*{named}"):
        read_path(write("packed.txt", content))


def test_a_device_is_refused() -> None:
    with pytest.raises(CorpusError, match="/dev/null is neither a text file nor a folder"):
        read_path(Path("/dev/null"))


def test_a_path_through_a_file_is_refused(write: Write) -> None:
    with pytest.raises(CorpusError, match="There is no file or folder"):
        read_path(write("a.txt", "a") / "b.txt")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_folder_is_refused_rather_than_left_out(write: Write, tmp_path: Path) -> None:
    write("books/a.txt", "a")
    locked = write("books/locked/b.txt", "b").parent
    locked.chmod(0)
    try:
        with pytest.raises(CorpusError, match=r"Cannot read .*locked: Permission denied"):
            read_path(tmp_path / "books")
    finally:
        locked.chmod(0o700)


def test_a_path_longer_than_any_name_is_refused() -> None:
    with pytest.raises(CorpusError, match="File name too long"):
        read_path(Path("x" * 5_000))


def test_every_book_of_the_mirror_is_read(mirror: Path) -> None:
    books = sorted(mirror.rglob("*.txt"))
    documents = read_path(mirror)
    assert len(documents) == len(books) >= 20
    assert [document.author for document in documents] == [book.parent.name for book in books]
    for document, book in zip(documents, books, strict=True):
        (alone,) = read_path(book)
        assert alone.text == document.text
        assert not {"\r", "\ufeff"} & set(alone.text)
