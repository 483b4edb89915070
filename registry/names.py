"""What names, keys and texts may look like, each refusal naming the field and the cause.

The rules are those of MLflow's clients (``mlflow/utils/validation.py`` of 3.17), so that what its clients accept works
here, and ours where theirs let through what a reader could be deceived by: control and invisible characters, outer
spaces, and text that is not in Unicode's normal form C.
"""

import math
import posixpath
import re
import unicodedata
from collections.abc import Mapping
from typing import Final

from config.errors import Invalid

LONGEST_NAME: Final = 256
LONGEST_ALIAS: Final = 255
LONGEST_KEY: Final = 250
LONGEST_TAG_VALUE: Final = 100_000
LONGEST_TEXT: Final = 50_000
LONGEST_PARAMETER: Final = 6_000
LONGEST_CARD: Final = 400_000
MOST_ENTRIES: Final = 1_000

_ALIAS = re.compile(r"[\w\-]+")
_ALIAS_OF_A_NUMBER = re.compile(r"[vV]\d+")
_KEY = re.compile(r"[/\w.\- :]+")
_CARD_KEY = re.compile(r"[a-z0-9_]{1,64}")
_LOOK_ALIKE_SCRIPTS: Final = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU"})
_ALIKE: Final = str.maketrans(
    {"\u0131": "i", "l": "i", "1": "i", "0": "o", "\u0251": "a", "\u0261": "g", "-": None, "_": None}
)
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def check_name(name: str, *, field: str = "name", what: str = "model") -> None:
    """Refuse what is no name of a model or data set. Raises ``Invalid``."""
    code = f"{what.replace(' ', '_')}.name"
    if not name or not name.strip():
        raise Invalid(f"The {what} needs a name.", code=code, field=field)
    if len(name) > LONGEST_NAME:
        raise Invalid(f"The name has {len(name)} characters; the limit is {LONGEST_NAME}.", code=code, field=field)
    for mark in "/:":
        if mark in name:
            raise Invalid(
                f"The name must not contain {mark!r}: it would not fit into an address.", code=code, field=field
            )
    if name == "." or name.startswith(".."):
        raise Invalid(f"The name must not be {name!r}: it would be read as a directory.", code=code, field=field)
    _check_visible(name, code=code, field=field)
    if name != name.strip():
        raise Invalid("The name must not begin or end with a space.", code=code, field=field)


def check_alias(alias: str, *, field: str = "alias") -> None:
    """Refuse what is no alias, and the names MLflow reserves: ``latest`` and ``v7``. Raises ``Invalid``."""
    if not alias:
        raise Invalid("The alias needs a name.", code="alias.name", field=field)
    if len(alias) > LONGEST_ALIAS:
        raise Invalid(
            f"The alias has {len(alias)} characters; the limit is {LONGEST_ALIAS}.", code="alias.name", field=field
        )
    if not _ALIAS.fullmatch(alias):
        raise Invalid("An alias may contain letters, digits, '_' and '-' only.", code="alias.name", field=field)
    _check_visible(alias, code="alias.name", field=field)
    scripts = {unicodedata.name(letter, "").partition(" ")[0] for letter in alias} & _LOOK_ALIKE_SCRIPTS
    if len(scripts) > 1:
        raise Invalid(
            f"The alias mixes {' and '.join(sorted(scripts))} letters, so it could be read as another.",
            code="alias.scripts",
            field=field,
        )
    if alias.lower() == "latest" or _ALIAS_OF_A_NUMBER.fullmatch(alias):
        raise Invalid(
            f"The alias {alias!r} is reserved: it already means a version.", code="alias.reserved", field=field
        )


def looks(name: str) -> str:
    """What a hurried reader sees in a name: without case, accents, separators, full width, and with 0 for o and 1 for l."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold())
    return "".join(letter for letter in plain if unicodedata.category(letter) != "Mn").translate(_ALIKE)


def check_tag(key: str, value: str) -> None:
    """Refuse a tag MLflow's clients could not have written. Raises ``Invalid`` for field ``key`` or ``value``."""
    _check_key(key, code="tag.key")
    check_text(value, field="value", longest=LONGEST_TAG_VALUE)


def check_tags(tags: Mapping[str, str]) -> None:
    """Check every tag of a mapping. Raises ``Invalid`` for field ``tags``."""
    _check_count(tags, field="tags")
    for key, value in tags.items():
        try:
            check_tag(key, value)
        except Invalid as error:
            raise Invalid(f"Tag {key[:80]!r}: {error.message}", code=error.code, field="tags") from error


def check_text(value: str, *, field: str, longest: int = LONGEST_TEXT) -> None:
    """Refuse text that cannot be kept: too long, U+0000, a lone surrogate. Raises ``Invalid``."""
    if not isinstance(value, str):
        raise Invalid(f"{field}: text was expected.", code="text", field=field)
    if len(value) > longest:
        raise Invalid(f"{field}: {len(value)} characters; the limit is {longest}.", code="text.too_long", field=field)
    if "\x00" in value:
        raise Invalid(f"{field}: the text holds a null byte.", code="text.null_byte", field=field)
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise Invalid(
            f"{field}: the text holds half of a character pair.", code="text.surrogate", field=field
        ) from None


def check_card(card: Mapping[str, str]) -> None:
    """Refuse a card whose keys or values are no plain text. Raises ``Invalid`` for field ``card``."""
    _check_count(card, field="card")
    for key, value in card.items():
        if not _CARD_KEY.fullmatch(key):
            raise Invalid(f"Card field {key[:80]!r}: use up to 64 of a-z, 0-9 and '_'.", code="card.key", field="card")
        check_text(value, field=f"card.{key}", longest=20_000)
    if sum(map(len, card.values())) > LONGEST_CARD:
        raise Invalid(f"The card holds more than {LONGEST_CARD} characters.", code="card.too_long", field="card")


def check_parameters(parameters: Mapping[str, str]) -> None:
    """Refuse parameters that are not text by name. Raises ``Invalid`` for field ``parameters``."""
    _check_count(parameters, field="parameters")
    for key, value in parameters.items():
        _check_key(key, code="parameter.key", field="parameters")
        check_text(value, field="parameters", longest=LONGEST_PARAMETER)


def check_metrics(metrics: Mapping[str, float]) -> None:
    """Refuse metrics that are not finite numbers by name. Raises ``Invalid`` for field ``metrics``."""
    _check_count(metrics, field="metrics")
    for key, value in metrics.items():
        _check_key(key, code="metric.key", field="metrics")
        if isinstance(value, bool) or not math.isfinite(value):
            raise Invalid(f"Metric {key!r} must be a finite number.", code="metric.value", field="metrics")


def _check_key(key: str, *, code: str, field: str = "key") -> None:
    if not key:
        raise Invalid("A key must be given.", code=code, field=field)
    if len(key) > LONGEST_KEY:
        raise Invalid(f"The key has {len(key)} characters; the limit is {LONGEST_KEY}.", code=code, field=field)
    if not _KEY.fullmatch(key):
        raise Invalid(
            f"The key {key!r} may contain letters, digits, '_', '-', '.', ':', spaces and '/' only.",
            code=code,
            field=field,
        )
    if posixpath.normpath(key) != key or key == "." or key.startswith(("..", "/")):
        raise Invalid(f"The key {key!r} would be read as the path {posixpath.normpath(key)!r}.", code=code, field=field)


def _check_count(mapping: Mapping[str, object], *, field: str) -> None:
    if not isinstance(mapping, Mapping):
        raise Invalid(f"{field}: names with values were expected.", code=f"{field}.shape", field=field)
    if len(mapping) > MOST_ENTRIES:
        raise Invalid(
            f"{field}: {len(mapping)} entries; the limit is {MOST_ENTRIES}.", code=f"{field}.many", field=field
        )


def _check_visible(text: str, *, code: str, field: str) -> None:
    for place, character in enumerate(text, start=1):
        if unicodedata.category(character) in _INVISIBLE:
            label = "a null byte" if character == "\x00" else f"U+{ord(character):04X}, which cannot be seen"
            raise Invalid(f"The name holds {label}, at character {place}.", code=code, field=field)
    if not unicodedata.is_normalized("NFC", text):
        raise Invalid(
            "The name is not in Unicode normal form C, so two names could look the same.", code=code, field=field
        )
