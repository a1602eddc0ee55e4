"""Texts, numbers and names that a stranger may give: bounded before anything is computed from them."""

import re
import unicodedata
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, Field

TEXT = 300  # characters of a text, where nothing else is said
MARKS = 2  # combining marks on one letter
COUNT = 2**53  # the largest count; what a float holds exactly

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)([.\[].*)?", re.IGNORECASE)  # names that are devices on Windows
_UNSEEN = {"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"}  # control, direction and zero-width, private, unassigned
_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)  # ignored when a text is drawn, or drawn as nothing


def plain_text(text: str, most: int = TEXT) -> str:
    """Return a text that shows what it says in a terminal, a page and a spreadsheet. ValueError for any other."""
    if len(text) > most:
        raise ValueError(f"has {len(text):,} characters; at most {most:,} are read")
    if unseen := sorted({f"U+{ord(c):04X}" for c in text if unicodedata.category(c) in _UNSEEN or _BLANK.match(c)}):
        raise ValueError(f"holds characters that are not seen ({', '.join(unseen[:3])})")
    if _marks(text) > MARKS:
        raise ValueError(f"puts more than {MARKS} marks on one letter")
    if unicodedata.normalize("NFC", text) != text:
        raise ValueError("is not in Unicode's normal form NFC")
    if "<" in text or ">" in text:
        raise ValueError("holds < or >, which would be markup on a page")
    if text[:1] in ("=", "+", "-", "@"):
        raise ValueError(f"begins with {text[:1]!r}, which would be a formula in a spreadsheet")
    return text


def name_text(text: str) -> str:
    """Return a plain text that holds a letter or a digit. ValueError for any other."""
    if not any(c.isalnum() for c in plain_text(text)):
        raise ValueError("holds no letter or digit")
    return text


def plain_path(path: str) -> str:
    """Return a relative path inside the bundle, in ASCII. ValueError for any other."""
    if len(path) > 200 or not _PLAIN.fullmatch(path):
        raise ValueError(f"{path[:80]!r} is not a path inside a bundle: letters, digits, . _ - and / between folders")
    if any(_DEVICES.fullmatch(part) or part.endswith(".") for part in PurePosixPath(path).parts):
        raise ValueError(f"{path[:80]!r} is not a file name on every system")
    return path


def plain_label(label: str) -> str:
    """Return the label of a method that is a file name on every system. ValueError for any other."""
    if _DEVICES.fullmatch(label):
        raise ValueError(f"{label[:80]!r} is the name of a device on Windows")
    return label


def shown(text: str, most: int = TEXT) -> str:
    """Return what a message may quote of a stranger's text: printable, on one line, not long."""
    return "".join(c if c.isprintable() else "?" for c in text[:most])


def _marks(text: str) -> int:
    """Count the most combining marks in a row."""
    longest = run = 0
    for c in text:
        run = run + 1 if unicodedata.category(c) in ("Mn", "Me") else 0
        longest = max(longest, run)
    return longest


Text = Annotated[str, Field(max_length=TEXT), AfterValidator(plain_text)]
Name = Annotated[str, Field(max_length=TEXT), AfterValidator(name_text)]
Path_ = Annotated[str, Field(max_length=200), AfterValidator(plain_path)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Label = Annotated[
    str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}(\[[A-Za-z0-9_=.,+-]{1,100}\])?$"), AfterValidator(plain_label)
]
Whole = Annotated[int, Field(ge=0, le=COUNT)]
