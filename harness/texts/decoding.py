"""From the bytes of a text to its characters: UTF-8, or a sentence that says what the bytes are instead."""

import codecs
from dataclasses import dataclass

from harness.errors import CorpusError

UTF_8 = "utf-8"


@dataclass(frozen=True)
class _Format:
    """What a file begins with that is no plain text, and what makes one of it."""

    magic: bytes
    title: str
    advice: str


_FORMATS = (
    _Format(b"%PDF", "a PDF", "pdftotext {name}"),
    _Format(b"PK\x05\x06", "an empty ZIP archive", "zip {name} TEXT"),
    _Format(b"\xd0\xcf\x11\xe0", "an old Word document", "export it as text"),
    # Of the marks of an encoding, UTF-32's begins as UTF-16's does.
    _Format(codecs.BOM_UTF32_LE, "UTF-32, not UTF-8", "--encoding UTF-32, or iconv -f UTF-32 -t UTF-8 OLD > NEW"),
    _Format(codecs.BOM_UTF32_BE, "UTF-32, not UTF-8", "--encoding UTF-32, or iconv -f UTF-32 -t UTF-8 OLD > NEW"),
    _Format(codecs.BOM_UTF16_LE, "UTF-16, not UTF-8", "--encoding UTF-16, or iconv -f UTF-16 -t UTF-8 OLD > NEW"),
    _Format(codecs.BOM_UTF16_BE, "UTF-16, not UTF-8", "--encoding UTF-16, or iconv -f UTF-16 -t UTF-8 OLD > NEW"),
)
_LOOKED_AT_BYTES = 1 << 16
"""Enough for a guess at the encoding."""
_PRINTABLE = 0.99
"""Of a text's characters."""
_GUESSES = 3
_LATIN = 0.3
"""A text in Latin letters has fewer bytes beyond ASCII than this share, one in another script more."""


def decode(data: bytes, name: str, encoding: str = UTF_8) -> str:
    """Return text without byte-order marks and with line feeds as its only line ends.

    Raises: CorpusError, saying what the file is instead and what makes text of it.
    """
    if encoding != UTF_8:
        data = _recoded(data, name, encoding)
    for each in _FORMATS:
        if data.startswith(each.magic):
            raise CorpusError(f"{name} is {each.title}: give plain text, as by {each.advice.format(name=name)}.")
    for mark, other in ((codecs.BOM_UTF16_LE, "UTF-16LE"), (codecs.BOM_UTF16_BE, "UTF-16BE")):
        offset = data.find(mark)
        if offset >= 0 and _reads_as(data[offset + len(mark) :][:_LOOKED_AT_BYTES], other):
            raise CorpusError(
                f"{name} has a mark of UTF-16 at offset {offset:,}, within it, so files of two encodings were joined: "
                "make each UTF-8, and join them anew."
            )
    if b"\0" in data:
        raise CorpusError(_binary(data, name))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CorpusError(_not_utf8(data, error, name)) from error
    if "\r" not in text:
        return _without_marks(text)
    # A long text is never here more than twice: in bytes the line ends cost least, whatever characters there are.
    del text
    data = _normalise_line_ends(data)
    return _without_marks(data.decode("utf-8"))


def _recoded(data: bytes, name: str, encoding: str) -> bytes:
    try:
        return data.decode(encoding).encode()
    except UnicodeError as error:
        cause = f"{getattr(error, 'reason', error)} at offset {getattr(error, 'start', 0):,}"
        raise CorpusError(f"{name} is not {encoding}: {cause}; give another --encoding.") from error


def check_encoding(encoding: str) -> str:
    """Return an encoding's name as Python has it. Raises: LookupError for one it does not know."""
    known = codecs.lookup(encoding)
    b"text".decode(known.name, "replace")  # raises for a codec between bytes, such as hex
    return known.name


def _without_marks(text: str) -> str:
    """Return the text without U+FEFF: at its start a mark, within it that of a file joined to another."""
    return text.replace("\ufeff", "") if "\ufeff" in text else text


def _binary(data: bytes, name: str) -> str:
    for encoding in ("UTF-32LE", "UTF-32BE", "UTF-16LE", "UTF-16BE"):
        if _reads_as(data[:_LOOKED_AT_BYTES], encoding):
            ways = f"--encoding {encoding}, or iconv -f {encoding} -t UTF-8 OLD > NEW"
            return f"{name} is {encoding} without its mark, not UTF-8: {ways}."
    offset = data.index(b"\0")
    return f"{name} is not text: it has a NUL byte at offset {offset:,}; name a file of UTF-8 text."


def _reads_as(sample: bytes, encoding: str) -> bool:
    """Return whether bytes are text in an encoding of two or four bytes: all printable, with spaces or lines in it."""
    whole = sample[: len(sample) // 4 * 4 - 4] or sample  # a character may be cut at the sample's end
    try:
        text = whole.decode(encoding)
    except UnicodeDecodeError:
        return False
    # Rarer ones are what letters of one byte come to in pairs.
    spaces = sum(text.count(space) for space in " \n\r\t\u3000")
    printable = sum(character.isprintable() or character in "\n\r\t" for character in text)
    return spaces > 0 and printable >= _PRINTABLE * len(text)


def _not_utf8(data: bytes, error: UnicodeDecodeError, name: str) -> str:
    offset = error.start
    before = data[:offset].removeprefix(codecs.BOM_UTF8)
    if error.reason == "unexpected end of data":
        left = len(data) - offset
        # Nothing before it tells UTF-8 from an encoding in which the byte is a character of its own.
        other = "; if that is a character of another encoding, name it: --encoding WINDOWS-1252" * before.isascii()
        return (
            f"{name} ends within a character, at offset {offset:,}, so it may be cut off: get the whole file, or leave "
            f"its last {'byte' if left == 1 else f'{left} bytes'} out: head --bytes {offset} OLD > NEW{other}."
        )
    what = f"{name} is not UTF-8: byte 0x{data[offset]:02X} at offset {offset:,}; "
    if not before.isascii():
        # Converting the whole file would garble the part that is right.
        return f"{what}what stands before it is, so encodings are mixed: mend the text from there on."
    encodings = _likely_encodings(data[max(0, offset - _LOOKED_AT_BYTES // 2) :][:_LOOKED_AT_BYTES])
    if not encodings:
        return (
            f"{what}find out its encoding, here called OTHER: --encoding OTHER, or iconv -f OTHER -t UTF-8 OLD > NEW."
        )
    others = f" (or {', '.join(encodings[1:])})" if len(encodings) > 1 else ""
    ways = f"--encoding {encodings[0]}, or iconv -f {encodings[0]} -t UTF-8 OLD > NEW"
    return f"{what}it looks like {encodings[0]}{others}; read it so, and look at what comes of it: {ways}."


def _likely_encodings(sample: bytes) -> list[str]:
    """Return what the bytes may be encoded in, likeliest first, as iconv names it."""
    from charset_normalizer import from_bytes  # slow to import, and seldom needed

    names = [_PLAUSIBLE[match.encoding] for match in from_bytes(sample, cp_isolation=list(_PLAUSIBLE))]
    if sum(byte >= 0x80 for byte in sample) < _LATIN * len(sample):
        # A few accents tell the detection little, and most files that have them are these.
        names = [_PLAUSIBLE["cp1252"], *names]
    return list(dict.fromkeys(names))[:_GUESSES]


_PLAUSIBLE = {
    **{f"cp{page}": f"WINDOWS-{page}" for page in range(1250, 1259)},
    **{"cp932": "CP932", "euc_jp": "EUC-JP", "gb18030": "GB18030", "big5": "BIG5", "euc_kr": "EUC-KR"},
    **{"koi8_r": "KOI8-R", "mac_roman": "MACINTOSH"},
}
"""Encodings that files have, by Python's name, as iconv names them."""


def _normalise_line_ends(data: bytes) -> bytes:
    """Return UTF-8 text whose only line end is the line feed."""
    # CR CR LF is a CR LF file once more written as text on Windows: still one line end.
    data = data.replace(b"\r\r\n", b"\n")
    data = data.replace(b"\r\n", b"\n")
    return data.replace(b"\r", b"\n")
