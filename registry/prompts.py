"""Prompts: MLflow keeps them as registered models and versions with tags (``mlflow/prompt/constants.py``). Pure.

What is a prompt is one from the start: its tag is given when the model is created and stays. The text of a version and
what belongs to it (type, response format, settings of the language model) are tags too, so that MLflow's client finds
them; here they are also the files that are sealed, so that a prompt has a digest, is reviewed and governed like any
version, and those tags stay as they are.
"""

from collections.abc import Mapping
from typing import Final

from config.errors import Conflict, Invalid

IS_PROMPT: Final = "mlflow.prompt.is_prompt"
TEXT: Final = "mlflow.prompt.text"
TYPE: Final = "_mlflow_prompt_type"
RESPONSE_FORMAT: Final = "_mlflow_prompt_response_format"
CONFIG: Final = "_mlflow_prompt_model_config"
FLAVOUR: Final = "prompt"
SOURCES: Final = frozenset({"dummy-source", "prompt-template"})
"""What MLflow's client and its store write where a model names its source: a prompt has none."""

_KEPT_BY_MODEL: Final = frozenset({IS_PROMPT})
_KEPT_BY_VERSION: Final = frozenset({IS_PROMPT, TEXT, TYPE, RESPONSE_FORMAT, CONFIG})


def is_prompt(tags: Mapping[str, str]) -> bool:
    """Whether these tags make a model or a version a prompt (mlflow/server/handlers.py, ``_is_prompt_request``)."""
    return tags.get(IS_PROMPT, "").lower() == "true"


def check_tags(tags: Mapping[str, str]) -> None:
    """Refuse a tag that makes neither a prompt nor no prompt. Raises ``Invalid`` for field ``tags``."""
    if tags.get(IS_PROMPT, "true") != "true":
        raise Invalid(f"The tag {IS_PROMPT} is 'true' or not there.", code="prompt.tag", field="tags")


def check_model_tag_is_free(key: str) -> None:
    """Refuse to make a model a prompt, or a prompt a model, after it was created. Raises ``Conflict``."""
    if key in _KEPT_BY_MODEL:
        raise Conflict(
            "Whether something is a prompt is said when it is created, and stays so.",
            code="prompt.kind",
            remedy="Register it under another name.",
        )


def check_version_tag_is_free(key: str) -> None:
    """Refuse to change what a prompt says after it was sealed. Raises ``Conflict``."""
    if key in _KEPT_BY_VERSION:
        raise Conflict(
            f"{key} is part of what a prompt says: it is sealed with its version and never changes.",
            code="prompt.sealed",
            remedy="Register a new version of the prompt.",
        )


def files_of(tags: Mapping[str, str]) -> dict[str, bytes]:
    """What is sealed of a prompt, by path. Raises ``Invalid`` if it has no text."""
    if TEXT not in tags:
        raise Invalid(f"A prompt needs its text, in the tag {TEXT}.", code="prompt.text", field="tags")
    chat = tags.get(TYPE) == "chat"
    found = {"prompt.json" if chat else "prompt.txt": tags[TEXT]}
    for key, path in ((RESPONSE_FORMAT, "response_format.json"), (CONFIG, "model_config.json")):
        if key in tags:
            found[path] = tags[key]
    return {path: text.encode() for path, text in found.items()}
