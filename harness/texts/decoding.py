"""From the bytes of a text to its characters."""

import codecs

from harness.errors import CorpusError


def decode(data: bytes, name: str) -> str:
    """Return UTF-8 text without a byte-order mark and with line feeds as its only line ends.

    Raises: CorpusError, naming the offset of the first byte that is not UTF-8.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise CorpusError(f"{name} is UTF-16, not UTF-8; convert it: iconv -f UTF-16 -t UTF-8 OLD > NEW.")
    if b"\0" in data:
        offset = data.index(b"\0")
        raise CorpusError(f"{name} is not text: it has a NUL byte at offset {offset:,}; name a file of UTF-8 text.")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CorpusError(_not_utf8(data, error.start, name)) from error
    if "\r" not in text:
        return text.removeprefix("\ufeff")
    # A long text is never here more than twice: in bytes the line ends cost least, whatever characters there are.
    del text
    data = _normalise_line_ends(data)
    return data.decode("utf-8").removeprefix("\ufeff")


def _not_utf8(data: bytes, offset: int, name: str) -> str:
    what = f"{name} is not UTF-8: byte 0x{data[offset]:02X} at offset {offset:,}; "
    if not data[:offset].removeprefix(codecs.BOM_UTF8).isascii():
        # Converting the whole file would garble the part that is right.
        return f"{what}what stands before it is, so encodings are mixed: mend the text from there on."
    return f"{what}if it is Windows text, convert it: iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW."


def _normalise_line_ends(data: bytes) -> bytes:
    """Return UTF-8 text whose only line end is the line feed."""
    # CR CR LF is a CR LF file once more written as text on Windows: still one line end.
    data = data.replace(b"\r\r\n", b"\n")
    data = data.replace(b"\r\n", b"\n")
    return data.replace(b"\r", b"\n")
