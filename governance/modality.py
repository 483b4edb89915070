"""What kind of thing a model judges, from what its MLmodel file says; and which checks do not apply to it. Pure.

The only place where that is decided: a check names the kinds it can judge (``Manifest.modalities``), nothing else asks.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from governance.checks import Manifest

Modality = Literal["tabular", "text", "image"]

# Flavours of MLflow 3 whose models take text whatever the signature says (mlflow.org/docs/latest/ml/model).
_OF_TEXT: Final = frozenset(
    {"transformers", "sentence_transformers", "openai", "langchain", "llama_index", "dspy", "spacy", "johnsnowlabs"}
    | {"promptflow", "prompt", "countersign.prompt"}
)
_WORDS: Final = {"tabular": "tables", "text": "text", "image": "pictures"}
_PICTURE_DIMENSIONS: Final = 3
"""Rows, height and width; with colours there are four."""


def modality_of(flavours: Sequence[str], signature: Mapping[str, Any]) -> Modality:
    """The kind of a model's inputs. A table, unless flavour or signature say otherwise."""
    inputs = _inputs(signature)
    if any(_dimensions(one) >= _PICTURE_DIMENSIONS for one in inputs):
        return "image"
    if _OF_TEXT & set(flavours):
        return "text"
    kinds = [str(one.get("type", "")) for one in inputs]
    names = {str(one.get("name", "")) for one in inputs}
    if kinds == ["string"] or ("messages" in names and "array" in kinds):
        return "text"
    return "tabular"


def why_not_applicable(about: Manifest, flavours: Sequence[str], signature: Mapping[str, Any]) -> str:
    """The sentence why this check cannot judge such a model; "" when it can."""
    if "any" in about.modalities:
        return ""
    kind = modality_of(flavours, signature)
    if kind in about.modalities:
        return ""
    judges = " and ".join(_WORDS[one] for one in about.modalities)
    return f"The model takes {_WORDS[kind]}, and this check judges models of {judges} only."


def _inputs(signature: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The columns or tensors of an MLflow signature, which holds them as a list or as JSON text."""
    given = signature.get("inputs")
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError:
            return []
    return [one for one in given if isinstance(one, Mapping)] if isinstance(given, list) else []


def _dimensions(one: Mapping[str, Any]) -> int:
    spec = one.get("tensor-spec")
    shape = spec.get("shape") if isinstance(spec, Mapping) else None
    return len(shape) if isinstance(shape, list) else 0
