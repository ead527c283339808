"""XML from untrusted files, element by element, without document types: nothing is expanded, nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NoReturn
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from activesel.errors import DataError
from activesel.labels.fields import as_text

_DEEPEST = 32
_MOST_NODES = 200_000  # below one child of the root
_CHUNK_BYTES = 1 << 16


@dataclass(slots=True)
class Node:
    """One element. where: "file.xml:12"."""

    tag: str
    attributes: dict[str, str]
    where: str
    children: list[Node] = field(default_factory=list)
    text: str = ""

    def child(self, tag: str) -> Node | None:
        return next((one for one in self.children if one.tag == tag), None)

    def text_of(self, tag: str) -> str:
        """Return the text of the first child of that name, empty if it has none."""
        found = self.child(tag)
        return found.text.strip() if found is not None else ""


class _Builder:
    """Collects finished children of the root."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._open: list[Node] = []
        self._n_nodes = 0
        self.done: list[Node] = []
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text

    def _place(self) -> str:
        return f"{self._where}:{self.parser.CurrentLineNumber}"

    def _refuse(self, *_: object) -> NoReturn:
        raise DataError("a document type, which may hide an attack", where=self._place(), expected="plain XML")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._n_nodes = self._n_nodes + 1 if len(self._open) > 1 else 0
        if len(self._open) >= _DEEPEST or self._n_nodes > _MOST_NODES:
            raise DataError("too many elements in one another", where=self._place())
        node = Node(tag, attributes, self._place())
        if not self._open:
            self.done.append(node)  # the root comes first, for its name
        elif len(self._open) > 1:
            self._open[-1].children.append(node)
        self._open.append(node)

    def _end(self, _tag: str) -> None:
        node = self._open.pop()
        if len(self._open) == 1:
            self.done.append(node)

    def _text(self, text: str) -> None:
        if len(self._open) > 1:
            self._open[-1].text += text


def read_elements(chunks: Iterable[bytes], where: str) -> Iterator[Node]:
    """Yield the root, still without children, then each child of it as soon as it is complete.

    Raises:
        DataError: not well-formed, too deep, or with a document type.
    """
    builder = _Builder(where)
    try:
        for chunk in chunks:
            builder.parser.Parse(chunk, False)
            yield from builder.done
            builder.done.clear()
        builder.parser.Parse(b"", True)
        yield from builder.done
    except (expat.ExpatError, LookupError, ValueError) as error:  # the latter two: encodings that do not exist
        line = getattr(error, "lineno", builder.parser.CurrentLineNumber)
        raise DataError("not valid XML", where=f"{where}:{line}", found=str(error)[:200]) from None


def in_chunks(content: bytes) -> Iterator[bytes]:
    return (content[at : at + _CHUNK_BYTES] for at in range(0, len(content), _CHUNK_BYTES))


def quoted(text: str) -> str:
    """Return a text as an attribute's value, with its quotes.

    Raises:
        DataError: XML cannot hold one of its characters.
    """
    return quoteattr(as_text(text, "a text", ascii(text)[:80], may_be_empty=True))


def escaped(text: str) -> str:
    """Return a text as an element's.

    Raises:
        DataError: XML cannot hold one of its characters.
    """
    return escape(as_text(text, "a text", ascii(text)[:80], may_be_empty=True), {"\r": "&#13;"})
