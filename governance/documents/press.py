"""The press: a program of its own that sets one document with typst and ends. Run as ``python -I press.py DIRECTORY``.

It finds ``shown.json``, ``pack.json``, ``order.json`` and ``files/`` in the directory and leaves ``out.pdf`` (or ``out-1.png``
…) there. It needs no Django, no database and no environment, reads nothing outside the directory and the fonts, and what
typst keeps in memory goes with it. What people wrote reaches typst as JSON values only, never as source.
"""

import json
import resource
import sys
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import typst

STANDARDS: Final = ("a-3a", "ua-1")
CPU_SECONDS: Final = 300
MEMORY: Final = 3 << 30
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_PLAIN: Final = frozenset(chr(code) for block in ((0x20, 0x7F), (0xA0, 0xAD), (0xAE, 0x180)) for code in range(*block))
_HOUSE: Final = frozenset(
    "\n\u2009\u2013\u2014\u2018\u2019\u201c\u201d\u2022\u2026\u2192\u2212\u2260\u2264\u2265\u00b1\u00d7"
)
"""What the product itself writes, beside Latin letters: every font of the press has it."""


def main(directory: Path) -> None:
    """Set the document of the directory. Ends with a Python or typst error if that is not possible."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    order = json.loads((directory / "order.json").read_text())
    shown = json.loads((directory / "shown.json").read_text())
    try:
        _set(directory, order, shown, _coverage(directory / "fonts", shown))
    except typst.TypstError as error:
        # A cluster of characters that no single font has: rare, and then only what every font has is set as it is.
        if "could not be displayed" not in str(error):
            raise
        _set(directory, order, shown, lambda character: character in _PLAIN or character in _HOUSE)


def _set(directory: Path, order: dict[str, Any], shown: object, has: Callable[[str], bool]) -> None:
    (directory / "set.json").write_text(json.dumps(visible(shown, has), ensure_ascii=False))
    compiler = typst.Compiler(
        str(directory / "report.typ"),
        root=str(directory),
        font_paths=[str(directory / "fonts")],
        ignore_system_fonts=True,
        package_path=str(directory / "none"),
        package_cache_path=str(directory / "none"),
    )
    if order["format"] == "png":
        compiler.compile(
            str(directory / "report.typ"), output=str(directory / "out-{n}.png"), format="png", ppi=order["ppi"]
        )
        return
    made, _ = compiler.compile_with_warnings(
        str(directory / "report.typ"), format="pdf", pdf_standards=[*STANDARDS], timestamp=order["timestamp"]
    )
    if not isinstance(made, bytes):
        raise TypeError("typst gave no document")
    (directory / "out.pdf").write_bytes(made)


def visible(value: Any, has: Callable[[str], bool]) -> Any:  # noqa: ANN401 - JSON
    """``value`` with every character that cannot be seen, or that no font has, written as its number: ``⟨U+202E⟩``."""
    if isinstance(value, str):
        return value if _PLAIN.issuperset(value) else "".join(_seen(character, has) for character in value)
    if isinstance(value, dict):
        return {key: visible(item, has) for key, item in value.items()}
    return [visible(item, has) for item in value] if isinstance(value, list) else value


def _seen(character: str, has: Callable[[str], bool]) -> str:
    if character in _PLAIN or character in _HOUSE:
        return character
    if character in "\t\r":
        return " "
    if unicodedata.category(character) in _UNSEEN or not has(character):
        return f"<U+{ord(character):04X}>"
    return character


def _coverage(fonts: Path, shown: object) -> Callable[[str], bool]:
    """Say of a character whether some font file has it. The files are opened only for text that needs them."""
    if all(character in _PLAIN or character in _HOUSE for text in _texts(shown) for character in text):
        return lambda _: False
    from fontTools.ttLib import TTCollection, TTFont  # noqa: PLC0415 - a quarter of a second

    known: set[int] = set()
    for path in sorted(fonts.iterdir()):
        opened = TTCollection(path).fonts if path.suffix.lower() == ".ttc" else [TTFont(path, lazy=True)]
        for font in opened:
            known |= set(font.getBestCmap() or {})
    return lambda character: ord(character) in known


def _texts(value: object) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
