"""Replacing parts of a JSON text that strict decoders refuse, so that the rest can be read.

JSON allows strings with half a surrogate pair and nesting without a limit (RFC 8259, sections 7 and
9); some senders also write ``NaN``. A decoder refuses the whole text for one such part. Here such a
part is replaced by a short string, and can be restored.
"""

import re

MARK = "\udcff"
"""Starts and ends a placeholder: a byte that UTF-8 never has, as ``surrogateescape`` reads it."""

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_TOKEN = re.compile(_STRING + rb'|(?P<open>".*)|-?\bInfinity\b|\bNaN\b', re.DOTALL)
_BRACKET = re.compile(_STRING + rb'|(?P<open>".*)|[\[{]|[\]}]', re.DOTALL)
_ODD = re.compile(
    rb'[\x00-\x1f\xff]|\\(?:[^"\\/bfnrtu]|u(?![0-9A-Fa-f]{4})|u[dD][89A-Fa-f])', re.DOTALL
)
_MARKED = re.compile(rb'"\xff(\d+)\xff"')


class JsonParts:
    """The replaced parts of one text."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def without_odd_strings(self, text: bytes) -> bytes:
        """Replace strings that a decoder might refuse, and ``NaN`` and ``Infinity``."""
        return _TOKEN.sub(self._replace_odd, text)

    def without_deep_parts(self, text: bytes, most: int) -> bytes:
        """Replace each part that is nested deeper than ``most`` levels."""
        starts: list[int] = []
        kept, done, too_deep = [], 0, False
        for token in _BRACKET.finditer(text):
            if token[0] in b"[{":
                starts.append(token.start())
                too_deep = too_deep or len(starts) > most
            elif token[0] in b"]}" and starts:
                start = starts.pop()
                if too_deep and len(starts) == most - 1:
                    part = self.restored(text[start : token.end()])
                    kept += [text[done:start], self._mark(part)]
                    done, too_deep = token.end(), False
        return b"".join([*kept, text[done:]])

    def restored(self, text: bytes) -> bytes:
        """Restore the replaced parts."""
        return _MARKED.sub(self._part, text)

    def _replace_odd(self, token: re.Match[bytes]) -> bytes:
        whole = token[0]
        if token["open"] is not None or (whole[:1] == b'"' and not _ODD.search(whole)):
            return whole
        return self._mark(whole)

    def _mark(self, part: bytes) -> bytes:
        self._parts.append(part)
        return b'"\xff%d\xff"' % (len(self._parts) - 1)

    def _part(self, mark: re.Match[bytes]) -> bytes:
        return self._parts[int(mark[1])]
