"""What SQLite's write-ahead log beside a ledger still holds: after a damaged frame it drops all later commits unsaid.

Source: SQLite's file format, section "The Write-Ahead Log".
"""

import shlex
import sqlite3
import struct
from pathlib import Path

_HEADER = struct.Struct(">8I")
"""Magic, version, page size, sequence, two salts and two checksums."""
_FRAME = struct.Struct(">6I")
"""Page number, the file's pages after a commit or 0 within a transaction, two salts and two checksums."""
_BYTE_ORDERS = {0x377F0682: "<", 0x377F0683: ">"}
"""By the header's magic, the order of bytes of what is summed."""
_MASK = 0xFFFFFFFF

Sums = tuple[int, int]


def require_whole(path: Path) -> None:
    """Raise sqlite3.DatabaseError where commits of a ledger's log stand behind a damaged frame, or its header is.

    A last frame that is not whole is no damage: a kill may strike while it is written.
    """
    log = path.with_name(f"{path.name}-wal")
    data = _read(log)
    if len(data) <= _HEADER.size:
        return
    magic, _, page_bytes, _, *salts = _HEADER.unpack_from(data)[:6]
    order = _BYTE_ORDERS.get(magic)
    sums = _sum(data[: _HEADER.size - 8], (0, 0), order) if order else None
    if order is None or sums != _HEADER.unpack_from(data)[6:]:
        raise sqlite3.DatabaseError(
            f"the header of its log is damaged: {shlex.join(['rm', str(log)])} gives up what only the log holds, and "
            "the run goes on from what is before it"
        )
    end, behind = _ends(data, page_bytes, salts, order, sums)
    if behind:
        raise sqlite3.DatabaseError(
            f"{behind} of the last commits in its log stand behind a damaged one: "
            f"{shlex.join(['truncate', '-s', str(end), str(log)])} gives them up, and the run goes on from what is "
            "before them"
        )


def _read(log: Path) -> bytes:
    """Return a log's bytes, of one generation: it may begin anew while it is read."""
    try:
        while True:
            data = log.read_bytes()
            with log.open("rb") as file:
                if file.read(_HEADER.size) == data[: _HEADER.size]:
                    return data
    except OSError:
        return b""


def _ends(data: bytes, page_bytes: int, salts: list[int], order: str, sums: Sums) -> tuple[int, int]:
    """Return the offset behind the last commit that can be read, and how many stand behind what is damaged."""
    end, behind, is_sound = _HEADER.size, 0, True
    step = _FRAME.size + page_bytes
    for start in range(_HEADER.size, len(data) - step + 1, step):
        _, pages, *frame = _FRAME.unpack_from(data, start)
        if is_sound:
            body = data[start : start + 8] + data[start + _FRAME.size : start + step]
            sums = _sum(body, sums, order)
            is_sound = frame == [*salts, *sums]
            end = start + step if is_sound and pages else end
        # What an earlier generation left behind has other salts.
        elif pages and frame[:2] == salts:
            behind += 1
    return end, behind


def _sum(data: bytes, sums: Sums, order: str) -> Sums:
    first, second = sums
    for even, odd in struct.iter_unpack(f"{order}II", data):
        first = (first + even + second) & _MASK
        second = (second + odd + first) & _MASK
    return first, second
