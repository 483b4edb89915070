"""MLmodel files are read as data, whatever is in them."""

import pytest

from registry.formats.mlmodel import LARGEST, BadMLmodel, parse

GOOD = b"""
flavors:
  python_function: {loader_module: mlflow.sklearn, python_version: 3.11.9}
  sklearn: {sklearn_version: 1.5.0}
signature:
  inputs: '[{"type": "double", "name": "age", "required": true}]'
  outputs: '[{"type": "long"}]'
  params: null
run_id: abc
"""


def test_flavours_signature_and_python_are_read() -> None:
    model = parse(GOOD)
    assert model.flavours == ("python_function", "sklearn")
    assert model.signature["inputs"][0]["name"] == "age"
    assert model.python_version == "3.11.9"
    assert model.run_id == "abc"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"just text",
        b"flavors: {}",
        b"flavors: [a]",
        b"flavors: {1: x}",
        b"{",
        b"\xff\xfe",
        b"flavors: !!python/object/apply:os.system ['true']",
        b"a: &a [x]\nflavors: {s: *a}",
        b"flavors: {s: 1}\nsignature: {inputs: 'not json'}",
        b"flavors: {s: 1}\nsignature: [1]",
        b"flavors: {s: 1}\nsignature: {inputs: '[NaN]'}",
        b"[" * 5000,
        b"x" * (LARGEST + 1),
    ],
)
def test_what_is_no_mlmodel_is_refused(content: bytes) -> None:
    with pytest.raises(BadMLmodel):
        parse(content)
