"""Checksums over the ledger's rows: each change of a row is entered with it, and what is read later must still add up.

Of every table and owner (a trial, a fact of the run) the number of rows and the sum of their digests are recorded: the
order of rows doesn't count, and a column that a later version adds changes nothing while it is empty.
"""

import sqlite3
import struct
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

TABLE = "checksums"
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS {TABLE} (
    of_table TEXT NOT NULL,
    owner TEXT NOT NULL,                -- the first column of that table: a trial, or a fact of the run
    num_rows INTEGER NOT NULL,
    digest INTEGER NOT NULL,            -- the sum of the rows' own
    PRIMARY KEY (of_table, owner)
) STRICT;
"""
_ROWS_AT_A_TIME = 500

Digest = Callable[..., int]
Sums = dict[str, tuple[int, int]]
"""By owner: the number of its rows, and the sum of their digests."""


def columns_in(db: sqlite3.Connection, table: str) -> list[str]:
    """Return a table's columns in the file's order."""
    return [row[1] for row in db.execute(f"PRAGMA table_info({table})")]


def require_sums(db: sqlite3.Connection) -> None:
    """Raise sqlite3.DatabaseError where rows are not what was written."""
    recorded: dict[str, Sums] = defaultdict(dict)
    for table, owner, num_rows, digest in db.execute(f"SELECT of_table, owner, num_rows, digest FROM {TABLE}"):
        if num_rows:
            recorded[table][owner] = num_rows, digest
    for table in {*recorded, *_summed_tables(db)}:
        sums = _sums(db, table)
        for owner in {*sums, *recorded[table]}:
            if sums.get(owner) != recorded[table].get(owner):
                raise sqlite3.DatabaseError(f"what its table {table} holds of {owner!r} is not what was recorded")


def require_readable(db: sqlite3.Connection) -> None:
    """Raise sqlite3.DatabaseError where a row of a ledger without checksums cannot even be read."""
    for table in _summed_tables(db):
        _sums(db, table)


def renew(db: sqlite3.Connection) -> None:
    """Write all checksums anew, within the caller's transaction: rows of a version that had none, or got columns."""
    db.execute(f"DELETE FROM {TABLE}")
    for table in _summed_tables(db):
        rows = [(table, owner, *sums) for owner, sums in _sums(db, table).items()]
        db.executemany(f"INSERT INTO {TABLE} VALUES (?, ?, ?, ?)", rows)


def keep(db: sqlite3.Connection) -> None:
    """Let this connection enter whatever it writes from now on."""
    # Without it a row that INSERT OR REPLACE replaces goes without its DELETE.
    db.execute("PRAGMA recursive_triggers=ON")
    for table in _summed_tables(db):
        columns = columns_in(db, table)
        names = sorted(columns)
        db.create_function(f"digest_{table}", len(names), _digest_as_stored(names), deterministic=True)
        for statement in _triggers(table, columns[0], names):
            db.execute(statement)


def _triggers(table: str, owner: str, names: list[str]) -> Iterator[str]:
    new, old = (f"digest_{table}({', '.join(f'{row}.{name}' for name in names)})" for row in ("NEW", "OLD"))
    begin = f"CREATE TEMP TRIGGER checksum_{table}_"
    # A policy of the statement outside (OR REPLACE, OR IGNORE) holds in here too: hence no upsert.
    where = f"WHERE of_table='{table}' AND owner="
    add = (
        f"INSERT INTO {TABLE} SELECT '{table}', NEW.{owner}, 0, 0 "
        f"WHERE NOT EXISTS (SELECT 1 FROM {TABLE} {where}NEW.{owner}); "
        f"UPDATE {TABLE} SET num_rows=num_rows+1, digest=digest+{new} {where}NEW.{owner};"
    )
    change = f"UPDATE {TABLE} SET digest=digest-{old}+{new} {where}NEW.{owner};"
    take = f"UPDATE {TABLE} SET num_rows=num_rows-1, digest=digest-{old} {where}OLD.{owner};"
    on = f"ON main.{table}"
    yield f"{begin}insert AFTER INSERT {on} BEGIN {add} END"
    yield f"{begin}update AFTER UPDATE {on} WHEN NEW.{owner} = OLD.{owner} BEGIN {change} END"
    yield f"{begin}rename AFTER UPDATE {on} WHEN NEW.{owner} <> OLD.{owner} BEGIN {take} {add} END"
    yield f"{begin}delete AFTER DELETE {on} BEGIN {take} END"


def _summed_tables(db: sqlite3.Connection) -> list[str]:
    tables = db.execute("SELECT name FROM sqlite_master WHERE type='table' AND name NOT LIKE 'sqlite_%'")
    return [name for (name,) in tables if name != TABLE]


def _sums(db: sqlite3.Connection, table: str) -> Sums:
    columns = columns_in(db, table)
    if not columns:
        return {}
    names = sorted(columns)
    owner, digest = names.index(columns[0]), _digest(names)
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    cursor = db.execute(f"SELECT {', '.join(names)} FROM {table}")
    while rows := cursor.fetchmany(_ROWS_AT_A_TIME):
        for row in rows:
            sum_of = sums[str(row[owner])]
            sum_of[0] += 1
            sum_of[1] += digest(*row)
    return {each: (num_rows, total) for each, (num_rows, total) in sums.items()}


# --- a row's digest ---------------------------------------------------------------------------------------


def _digest_as_stored(names: list[str]) -> Digest:
    """Return `_digest` for values on their way into the file, which keeps no sign of a zero."""
    digest = _digest(names)
    return lambda *values: digest(*(value or 0.0 if isinstance(value, float) else value for value in values))


def _digest(names: list[str]) -> Digest:
    """Return a function from a row's values to a number of 32 bits: of its columns that are not empty, by name.

    Values are packed as bytes: their decimal digits would take five times as long.
    """
    packers: dict[tuple[type, ...], tuple[Callable[..., bytes], list[int], list[int], int]] = {}

    def digest(*values: Any) -> int:
        kinds = tuple(map(type, values))
        if kinds not in packers:
            packers[kinds] = _packer(names, kinds)
        pack, present, texts, begin = packers[kinds]
        packed: list[Any] = list(values)
        for index in texts:
            value = packed[index]
            packed[index] = zlib.crc32(value.encode() if isinstance(value, str) else value)
        return zlib.crc32(pack(*(packed[index] for index in present)), begin)

    return digest


def _packer(names: list[str], kinds: tuple[type, ...]) -> tuple[Callable[..., bytes], list[int], list[int], int]:
    """Return how a row of these types is packed: by what, which values, which of them texts, and the names' digest."""
    codes = {int: "q", float: "d", str: "I", bytes: "I"}
    present = [index for index, kind in enumerate(kinds) if kind is not type(None)]
    if any(kinds[index] not in codes for index in present):
        raise sqlite3.DatabaseError("a value is neither a number nor a text nor bytes")
    heading = ",".join(f"{names[index]} {codes[kinds[index]]}" for index in present)
    layout = struct.Struct("<" + "".join(codes[kinds[index]] for index in present))
    return (
        layout.pack,
        present,
        [index for index in present if codes[kinds[index]] == "I"],
        zlib.crc32(heading.encode()),
    )
