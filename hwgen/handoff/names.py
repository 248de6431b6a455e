"""Names of others (models, boards, labels) on their way into scripts, file names and texts: they stay names."""

from __future__ import annotations

import re
import unicodedata

_LONGEST = 64
#: of a Tcl word in double quotes
_TCL_SPECIAL = re.compile(r'[\\"\[\]{}$;]')


def safe_name(text: str) -> str:
    """``text`` as a name for a file, folder or project: letters, digits, ``_`` and ``-``, a letter first.

    Good names stay as they are; two others may become equal, so it is for things of which there is one.
    """
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", ascii_text)[:_LONGEST].strip("_-")
    if not name:
        return "unnamed"
    return name if name[0].isalpha() else f"n_{name}"


def tcl_word(text: str) -> str:
    """``text`` as one Tcl word that stands for itself; control characters become spaces.

    In double quotes: braces, which need less, cannot hold unbalanced braces.
    """
    escaped = _TCL_SPECIAL.sub(lambda match: "\\" + match[0], _one_line(text))
    return '"' + "".join(c if ord(c) < 127 else _tcl_character(c) for c in escaped) + '"'


def plain_text(text: str) -> str:
    """``text`` for comments, docstrings and Markdown: one line, with nothing that could end or mark up one of these."""
    return " ".join(re.sub(r"[^\w .,:;()+/%&=@'×–-]", " ", _one_line(text)).split())


def _one_line(text: str) -> str:
    return "".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") else c for c in text)


def _tcl_character(character: str) -> str:
    """Escaped, as Tcl scripts may be read in any encoding; before Tcl 9 only characters of 16 bits can be."""
    return f"\\u{ord(character):04x}" if ord(character) < 1 << 16 else "?"
