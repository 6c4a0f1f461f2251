"""The Time Machine, byte for byte the text Dive into Deep Learning trains on."""

from harness.corpus.documents import CorpusRequest, Document
from harness.corpus.local import decode
from harness_books.pinned import PinnedFile, read_pinned

TIME_MACHINE = PinnedFile(
    corpus="time-machine",
    file_name="timemachine.txt",
    mirror_paths=("h-g-wells/the-time-machine.txt", "timemachine.txt"),
    urls=(
        # A commit never changes; D2L's own place is one server more to rely on.
        "https://raw.githubusercontent.com/Mech-Who/LearnD2L/0ada6bb530104b288476981cbe2b8812ad50ac19"
        "/Chapter8/data/timemachine.txt",
        "https://d2l-data.s3-accelerate.amazonaws.com/timemachine.txt",
    ),
    num_bytes=178_979,
    sha256="8424dbd9532ac81f7e5f0b6add90e6952baea29158309d7d1bf3884f4e12c516",
    sha1="090b5e7e70c295757f55df93cb0a180b9691891a",
)


def load(request: CorpusRequest) -> list[Document]:
    """Return the novel as one document."""
    text = decode(read_pinned(TIME_MACHINE, request), TIME_MACHINE.file_name)
    return [Document(author="H. G. Wells", title="The Time Machine", text=text)]
