"""Whole books, each byte for byte the file the catalogue names."""

from harness.contracts.corpora import CorpusRequest, Document
from harness.texts.decoding import decode
from harness.texts.gutenberg import strip_boilerplate
from harness_books import catalogue
from harness_books.catalogue import Book
from harness_books.pinned import PinnedFile, read_pinned


def load(request: CorpusRequest) -> list[Document]:
    """Return the books of ``request.corpus``, or those asked for, each as one document.

    Raises: CorpusError where one can't be had.
    """
    books = [
        book for book in catalogue.read().books_of(request.corpus) if not request.books or book.name in request.books
    ]
    # All files first: what is missing is told before the time to read the others is spent.
    contents = [read_pinned(pinned(book), request) for book in books]
    return [_document(book, content) for book, content in zip(books, contents, strict=True)]


def pinned(book: Book) -> PinnedFile:
    """Return where a book's file is to be had."""
    return PinnedFile(
        corpus=book.name,
        file=book.file,
        also=book.also,
        # A commit never changes; another server is one more to rely on.
        urls=(f"https://raw.githubusercontent.com/{book.repository}/{book.commit}/{book.path}", *book.urls),
        num_bytes=book.num_bytes,
        sha256=book.sha256,
    )


def _document(book: Book, content: bytes) -> Document:
    text = decode(content, book.file)
    if book.gutenberg:
        text = strip_boilerplate(text, book.file)
    return Document(author=book.author, title=book.title, name=book.name, text=book.markers.cut(text, book.file))
