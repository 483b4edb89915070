"""``countersign recheck``: run again from the sealed bytes, a result agrees to the byte, or what differs is named."""

import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from django.conf import settings as live_settings

from governance import tasks
from governance.checks.code import own
from governance.models import CheckRun, PromotionRequest
from governance.recheck_cli import main
from governance.services.evidence import bundle_bytes, result_bytes
from registry.models import User
from registry.storage import blobs
from tests.factories import governance as make
from tests.factories.audit import by_hand
from tests.governance.engine import models
from tests.governance.engine.test_execute import asked, run_all, run_of

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

POLICY = """\
policy: house
governs: {tiers: [1, 2, 3], targets: ["alias:production"]}
checks:
  - use: performance.binary
    data: {role: test}
    require: {auc: {ge: 0.75}}
  - use: documentation.card
    require: {missing_fields: {le: 0}}
  - use: script
    id: script.wrong
    data: {role: test}
    params:
      arguments: {scale: 2}
      script: |
        import json, sys
        from pathlib import Path
        import numpy as np
        import pyarrow.parquet as pq
        place = Path(sys.argv[1])
        said = json.loads((place / "parameters.json").read_text())
        label = np.asarray(pq.read_table(place / "data.parquet")[said["roles"]["label"]])
        predicted = np.asarray(pq.read_table(place / "predictions.parquet")["prediction"])
        share = float((label != predicted).mean()) * said["arguments"]["scale"]
        figure = {"key": "twice_wrong", "value": share, "n": len(label), "better": "lower", "ci_low": share, "ci_high": share}
        Path("result.json").write_text(json.dumps({"figures": [figure]}))
    require: {twice_wrong: {le: 0.9}}
card: [intended_use]
review:
  - stage: approval
    all: [{role: approver, n: 1}]
"""
Say = Callable[[str], tuple[int, str]]


@pytest.fixture(autouse=True)
def data_dir(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path / "data"
    settings.JOB_LEASE = timedelta(hours=1)


@pytest.fixture
def done(scientist: User) -> PromotionRequest:
    """A request whose checks have run for real."""
    request = run_all(asked(scientist, models.sound_model(), policy=POLICY))
    make.integrate()
    return request


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """The command's exit code and words."""

    def run(word: str) -> tuple[int, str]:
        capsys.readouterr()
        code = main([word])
        told = capsys.readouterr()
        return code, told.out + told.err

    return run


def test_every_result_agrees_and_each_says_where_it_came_from(
    done: PromotionRequest, say: Say, tmp_path: Path, approvers: list[User]
) -> None:
    verdicts = {run.key: (run.verdict, run.summary) for run in done.checks.all()}
    assert {verdict for verdict, _ in verdicts.values()} == {"pass"}, verdicts
    for run in done.checks.all():
        code, words = say(str(run.pk))
        assert code == 0, words
        assert run.result_digest in words
        assert "another" not in words
    run = run_of(done, "performance.binary")
    assert run.dataset is not None
    assert run.provenance["model"] == done.manifest_digest
    assert run.provenance["data"] == run.dataset.digest
    assert run.provenance["code"] == own().as_dict()
    assert run.provenance["predictions"] == [run_of(done, "predict.scores").output_blob_id]
    assert any(one.startswith("numpy ") for one in run.provenance["environment"]["libraries"])
    finished = [one for one in make.log() if one["action"] == "check.finished" and one["object"]["id"] == str(run.pk)]
    assert finished[0]["facts"]["provenance"] == run.provenance
    assert str(live_settings.DATA_DIR) == str(tmp_path / "data")

    said = say(run.result_digest)
    assert said[0] == 0
    file = tmp_path / "result.json"
    file.write_bytes(result_bytes(run))
    assert say(str(file)) == said
    bundle = tmp_path / "bundle.zip"
    bundle.write_bytes(bundle_bytes(request=done, by=make.actor(approvers[0])))
    code, words = say(str(bundle))
    assert code == 0
    assert words.count("agrees\n") == done.checks.count()


def test_other_parameters_give_other_figures_and_each_is_named(done: PromotionRequest, say: Say) -> None:
    run = run_of(done, "script.wrong")
    with by_hand():
        CheckRun.objects.filter(pk=run.pk).update(parameters=run.parameters | {"arguments": {"scale": 3}})
    code, words = say(str(run.pk))
    assert code == 1
    assert "It differs" in words
    assert "figures, twice_wrong, value:" in words
    assert "The parameters were others" in words


def test_what_only_stands_beside_is_said_and_changes_nothing(done: PromotionRequest, say: Say) -> None:
    run = run_of(done, "performance.binary")
    other = json.loads(json.dumps(run.provenance))
    other["code"]["digest"] = "0" * 64
    other["environment"]["libraries"].append("numpy 0.1")
    with by_hand():
        CheckRun.objects.filter(pk=run.pk).update(provenance=other)
    code, words = say(str(run.pk))
    assert code == 0
    assert "The code is another: countersign" in words
    assert "numpy 0.1 then" in words


def test_a_card_that_changed_since_is_named(done: PromotionRequest, say: Say) -> None:
    with by_hand():
        done.model.card = {}
        done.model.save()
    code, words = say(str(run_of(done, "documentation.card").pk))
    assert code == 1
    assert "The model card has changed since" in words
    assert "missing_fields" in words


@pytest.mark.parametrize("part", ["result", "data", "model", "predictions"])
def test_bytes_that_were_changed_are_found(done: PromotionRequest, say: Say, part: str) -> None:
    run = run_of(done, "performance.binary")
    assert run.dataset is not None
    manifest = done.version.manifest
    assert manifest is not None
    digest = {
        "result": run.result_digest,
        "data": run.dataset.digest,
        "model": manifest.files.get(path="model.pkl").blob_id,
        "predictions": run_of(done, "predict.scores").output_blob_id,
    }[part]
    path = blobs().path(str(digest))
    assert path is not None
    path.parent.chmod(0o755)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + os.urandom(1) + b"x")
    code, words = say(str(run.pk))
    assert code == 1, words
    assert str(digest) in words or "changed" in words


def test_a_row_that_was_changed_contradicts_the_ledger(done: PromotionRequest, say: Say) -> None:
    run = run_of(done, "performance.binary")
    other = run_of(done, "documentation.card")
    with by_hand():
        CheckRun.objects.filter(pk=run.pk).update(result_digest=other.result_digest, result_blob=other.result_blob_id)
    code, words = say(str(run.pk))
    assert code == 1
    assert f"The ledger says that the result is {run.result_digest}" in words


def test_a_result_that_rests_on_predictions_of_nobody_is_found(scientist: User, say: Say) -> None:
    """The figures follow from the predictions that are stored, but the model never gave them."""
    request = asked(scientist, models.sound_model(), policy=POLICY)
    scores = run_of(request, "predict.scores")
    tasks.run_check(str(scores.pk))
    scores.refresh_from_db()
    with blobs().open(str(scores.output_blob_id)) as stream:
        given = pyarrow.parquet.read_table(stream)
    forged = make.blob(models.parquet(given.take(pa.array(range(given.num_rows)[::-1]))))
    with by_hand():
        CheckRun.objects.filter(pk=scores.pk).update(output_blob=forged)
    run = run_of(run_all(request), "performance.binary")
    make.integrate()
    code, words = say(str(run.pk))
    assert code == 1, words
    assert f"{scores.title}: computed again, they are {scores.output_blob_id}; the result rests on {forged.pk}" in words


def test_a_result_without_an_entry_of_the_ledger_does_not_agree(scientist: User, say: Say) -> None:
    request = run_all(asked(scientist, models.sound_model(), policy=POLICY))
    code, words = say(str(run_of(request, "documentation.card").pk))
    assert code == 1
    assert "The ledger has no entry that this check finished" in words


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("nonsense", "no file, no id"),
        ("0" * 64, "there is no result"),
        ("6f1c2f9e-0000-4000-8000-000000000000", "there is no result"),
    ],
)
def test_what_names_no_result_is_said(house: object, say: Say, word: str, said: str) -> None:
    code, words = say(word)
    assert code == 2
    assert said in words


def test_an_error_and_a_check_that_waits_are_told_apart(scientist: User, say: Say) -> None:
    request = asked(scientist, models.packed(b"no pickle"), policy=POLICY)
    assert say(str(run_of(request, "performance.binary").pk))[0] == 2
    run_all(request)
    make.integrate()
    code, words = say(str(run_of(request, "predict.scores").pk))
    assert code == 3, words
    assert "ended with an error" in words


TIMED = """\
policy: house
governs: {tiers: [1, 2, 3], targets: ["alias:production"]}
checks:
  - use: resources.latency
    data: {role: test}
review:
  - stage: approval
    all: [{role: approver, n: 1}]
"""


def test_measured_times_are_excepted_and_named(scientist: User, say: Say) -> None:
    request = run_all(asked(scientist, models.sound_model(), policy=TIMED))
    make.integrate()
    run = run_of(request, "resources.latency")
    assert run.result is not None, run.summary
    code, words = say(str(run.pk))
    assert code == 3, words
    assert "measures time" in words
    assert "The stored bytes are those that the ledger names." in words
