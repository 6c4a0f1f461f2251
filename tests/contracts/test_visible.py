import os

from harness.contracts.visible import decoded, visible


def test_hidden_characters_are_shown() -> None:
    assert visible("a\u202eb\x1b\u200fc\nd\te") == "a⟨U+202E⟩b⟨U+001B⟩⟨U+200F⟩c\nd\te"
    assert visible("line\u2028separator\x9b31m") == "line⟨U+2028⟩separator⟨U+009B⟩31m"
    assert visible("Brontë שלום 時間 👩‍🚀") == "Brontë שלום 時間 👩‍🚀"


def test_bytes_that_are_no_utf8_are_shown_and_those_that_are_decoded() -> None:
    assert decoded(os.fsdecode(b"caf\xe9 \xff\x80")) == "café".replace("é", "⟨E9⟩") + " ⟨FF⟩⟨80⟩"
    # What Python makes of 'ä' where the locale is not UTF-8.
    assert decoded("\udcc3\udca4") == "ä"
    assert visible("\ud800").isprintable()
    visible("\ud800 \udfff").encode()
