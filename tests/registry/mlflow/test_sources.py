"""Sources of versions are checked as data."""

import pytest

from registry.sources import BadSource, Source, check_owner, parse

RUN = "0123456789abcdef0123456789abcdef"
MODEL = "m-0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"runs:/{RUN}/model", Source("run", id=RUN, path="model")),
        (f"runs:/{RUN}/a/b/", Source("run", id=RUN, path="a/b")),
        (f"models:/{MODEL}", Source("logged_model", id=MODEL)),
        ("models:/credit default/3", Source("version", id="credit default", number=3)),
        ("models:/credit/latest", Source("version", id="credit")),
        ("models:/credit/Staging", Source("version", id="credit", stage="Staging")),
        ("models:/credit@champion", Source("version", id="credit", alias="champion")),
        (f"mlflow-artifacts:/0/{RUN}/artifacts/model", Source("artifacts", path=f"0/{RUN}/artifacts/model")),
        ("mlflow-artifacts:/sealed/7/3", Source("sealed", id="7", number=3)),
    ],
)
def test_a_source_is_taken_apart(text: str, expected: Source) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "/etc/passwd",
        "file:///etc/passwd",
        "./model",
        "s3://bucket/model",
        "http://elsewhere/model",
        "https://elsewhere/api/2.0/mlflow-artifacts/artifacts/x",
        "dbfs:/x",
        "mlflow-artifacts://host:5000/x",
        "mlflow-artifacts:/../../etc/passwd",
        "mlflow-artifacts:/a/%2e%2e/b",
        "mlflow-artifacts:/a/%252e%252e/b",
        "mlflow-artifacts:/a/..%2f..%2fb",
        "mlflow-artifacts:/a\\..\\b",
        "mlflow-artifacts:/a\0b",
        "mlflow-artifacts:/a?b=c",
        "mlflow-artifacts:/a//b",
        "mlflow-artifacts:/",
        "mlflow-artifacts:",
        "mlflow-artifacts:/sealed/7",
        "mlflow-artifacts:/sealed/7/3/MLmodel",
        "runs:/",
        f"runs:/{RUN}",
        f"runs:/{RUN}/../x",
        f"runs://host/{RUN}/x",
        "models:/name",
        "models:/name@",
        "models:/@production",
        "models:/name/0",
        "models:/name/latest/more",
        "models://registry/name/1",
        "runs:/" + "a" * 3000,
        "",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BadSource):
        parse(text)


@pytest.mark.parametrize(
    ("text", "run_id", "model_id"),
    [
        (f"runs:/{RUN}/model", "", ""),
        (f"runs:/{RUN}/model", "f" * 32, ""),
        (f"runs:/{RUN}/model", RUN, MODEL),
        (f"models:/{MODEL}", RUN, ""),
        (f"models:/{MODEL}", "", "m-other"),
        ("mlflow-artifacts:/0/x/artifacts", "", ""),
        (f"runs:/{RUN}/model", "../..", ""),
    ],
)
def test_a_source_must_belong_to_the_run_or_model_given(text: str, run_id: str, model_id: str) -> None:
    with pytest.raises(BadSource):
        check_owner(parse(text), text, run_id=run_id, model_id=model_id)


def test_a_matching_run_or_model_is_accepted() -> None:
    for text, run_id, model_id in (
        (f"runs:/{RUN}/model", RUN, ""),
        (f"models:/{MODEL}", "", MODEL),
        (f"models:/{MODEL}", RUN, MODEL),
        ("mlflow-artifacts:/0/x/artifacts", RUN, ""),
        ("models:/credit/3", "", ""),
    ):
        check_owner(parse(text), text, run_id=run_id, model_id=model_id)
