"""A page of the past: its links stay at that moment, and what would change something is switched off.

Done once to the finished page and not in each template, so that no page can forget it. Only markup of this house is
rewritten: what people wrote is escaped in it, so it holds no tag and no attribute.
"""

import re
from collections.abc import Callable
from html import escape
from typing import Final
from urllib.parse import quote

PARAMETER: Final = "as_of"

_TAG: Final = re.compile(r"<(?P<close>/?)(?P<name>[a-zA-Z][a-zA-Z0-9]*)(?P<rest>(?:[^<>\"']|\"[^\"]*\"|'[^']*')*)>")
_LINK: Final = re.compile(
    r"(?<=\s)(?P<name>href|action|formaction|hx-get|hx-post|hx-put|hx-patch|hx-delete)=\"(?P<to>[^\"]*)\""
)
_METHOD: Final = re.compile(r"\smethod=\"?post\b", re.IGNORECASE)
_ACTS: Final = re.compile(r"\shx-(?:post|put|patch|delete)=")
_OURS: Final = re.compile(r"(?:[/?]|(?![a-zA-Z][a-zA-Z0-9+.-]*:|#)[^/])")
_CONTROLS: Final = frozenset({"button", "input", "select", "textarea"})


def rewritten(page: str, moment: str, travels: Callable[[str], bool]) -> str:
    """``page`` with its links at ``moment``. ``travels`` says of a path whether it can be read as of then.

    Controls of forms that post somewhere are disabled. Forms that lead to what speaks of today only (signing out) work as
    ever. Whatever else sends them is refused by the server: their address carries the moment, too.
    """
    value = quote(moment, safe=":-")
    hidden = f'<input type="hidden" name="{PARAMETER}" value="{escape(moment)}">'
    posting = False

    def link(match: re.Match[str]) -> str:
        return f'{match["name"]}="{_with(match["to"], value, travels)}"'

    def tag(match: re.Match[str]) -> str:
        nonlocal posting
        name, rest = match["name"].lower(), match["rest"]
        if match["close"]:
            posting = posting and name != "form"
            return match[0]
        if name == "link" or "data-leaves" in rest:
            return match[0]
        rest = _LINK.sub(link, rest)
        after = ""
        if name == "form":
            posting = bool(_METHOD.search(rest)) and f"{PARAMETER}=" in rest
            stays = not re.search(r'\saction="[^"]', rest) or f"{PARAMETER}=" in rest
            after = hidden if stays and not _METHOD.search(rest) else ""
        elif (name in _CONTROLS and posting) or _ACTS.search(rest):
            rest = f"{rest} disabled" if " disabled" not in rest else rest
        return f"<{match['name']}{rest}>{after}"

    return _TAG.sub(tag, page)


def at(address: str, moment: str) -> str:
    """An address of ours, as it stands in a header, with the moment in its query."""
    return _with(address, quote(moment, safe=":-"), lambda _: True).replace("&amp;", "&")


def _with(address: str, value: str, travels: Callable[[str], bool]) -> str:
    """An address as it stands in an attribute, with the moment in its query."""
    path, mark, fragment = address.partition("#")
    where, _, query = path.partition("?")
    if not _OURS.match(address) or address.startswith("//") or (where.startswith("/") and not travels(where)):
        return address
    if re.search(rf"(?:^|&amp;|&){PARAMETER}=", query):
        return address
    return f"{where}?{query}{'&amp;' if query else ''}{PARAMETER}={value}{mark}{fragment}"
