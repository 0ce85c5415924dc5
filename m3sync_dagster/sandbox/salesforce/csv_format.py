"""CSV as the Bulk API 2.0 reads and writes it.

Source: Salesforce Bulk API 2.0 guide, "Prepare CSV Files" and "Create a Job" (``columnDelimiter``).
"""

import csv
import io
from collections.abc import Iterable

DELIMITERS = {
    "COMMA": ",",
    "BACKQUOTE": "`",
    "CARET": "^",
    "PIPE": "|",
    "SEMICOLON": ";",
    "TAB": "\t",
}


def csv_bytes(rows: Iterable[Iterable[str]]) -> bytes:
    """Rows as CSV with every cell in quotes."""
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
