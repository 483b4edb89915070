"""Render time and number of queries of the decision screen and of the other pages, on a filled registry.

The request is real: a model trained on the diabetes study, checked in the sandbox against a live version that two
officers signed. Around it stand many others. Run: ``python -m benchmarks.decision_screen``.
"""

import argparse
import io
import statistics
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks import stack

if TYPE_CHECKING:
    from governance.models import PromotionRequest
    from registry.models import ModelVersion, User

PASSWORD: Final = "a long benchmark password"  # noqa: S105 - of a database that is thrown away
TARGET: Final = "alias:production"
BATCH: Final = 5_000


def people() -> dict[str, "User"]:
    """An author, two officers and an auditor, each with a role on every model."""
    from audit.actors import SYSTEM
    from registry.roles import Role
    from registry.services import access

    found = {}
    for name, role in (
        ("author", Role.CONTRIBUTOR),
        ("officer-1", Role.APPROVER),
        ("officer-2", Role.APPROVER),
        ("auditor", Role.AUDITOR),
    ):
        user = access.create_user(username=name, password=PASSWORD, by=SYSTEM)
        team = access.create_team(name=f"team of {name}", by=SYSTEM)
        access.add_member(team=team, user=user, by=SYSTEM)
        access.grant_role(team=team, role=role, by=SYSTEM)
        found[name] = user
    return found


def _holdout(author: "User") -> None:
    import hashlib

    from audit.actors import Actor
    from governance.demo.science import HOLDOUT_SET, parquet
    from governance.demo.training import INPUTS, LABEL, SENSITIVE, load_split
    from registry.services import artifacts, datasets, sealing

    by, content = Actor.person(author), parquet(load_split().holdout)
    columns = {"label": LABEL, "positive": 1, "features": INPUTS, "sensitive": SENSITIVE}
    version = datasets.register_dataset(name=HOLDOUT_SET, role="test", columns=columns, by=by)
    digest = hashlib.sha256(content).hexdigest()
    upload = artifacts.open_upload(
        version, path="holdout.parquet", declared_sha256=digest, declared_size=len(content), by=by
    )
    upload = artifacts.append_chunk(upload=upload, offset=0, stream=io.BytesIO(content), by=by)
    artifacts.complete_upload(upload=upload, by=by)
    datasets.finish_dataset(dataset_version=version, by=by)
    sealing.seal_dataset(dataset_version=version, by=by)


def _version(author: "User", kind: str) -> "ModelVersion":
    import mlflow.sklearn
    from mlflow.models import infer_signature

    from audit.actors import Actor
    from governance.demo.science import CARD, HOLDOUT_SET, SOUND
    from governance.demo.training import INPUTS, LIVE_INPUTS, fit, load_split
    from registry.digests import SealedFile
    from registry.models import Dataset, RegisteredModel
    from registry.services import catalog, versions
    from registry.storage import blobs

    by = Actor.person(author)
    model = RegisteredModel.objects.filter(name=SOUND).first() or catalog.create_model(
        name=SOUND, by=by, card=CARD, use_case="Follow-up programme"
    )
    catalog.update_model(model=model, by=by, evaluation_dataset=Dataset.objects.get(name=HOLDOUT_SET))
    split, inputs = load_split(), LIVE_INPUTS if kind == "live" else INPUTS
    trained = fit(split.train, inputs)
    signature = infer_signature(split.holdout[inputs], trained.predict(split.holdout[inputs]))
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch) / "model"
        mlflow.sklearn.save_model(trained, str(directory), signature=signature)
        files = []
        for path in sorted(one for one in directory.rglob("*") if one.is_file()):
            with path.open("rb") as stream:
                sha256, size = blobs().put(stream)
            files.append(SealedFile(path=path.relative_to(directory).as_posix(), size=size, sha256=sha256))
    version = versions.register_version(model=model, by=by, parameters={"kind": kind})
    return versions.seal_version(version_id=version.pk, files=files, by=by, flavours=["sklearn"])


def _request(version: "ModelVersion", author: "User") -> "PromotionRequest":
    """Ask, and run every check as a worker does, in this process."""
    from audit.actors import Actor
    from governance.services.promotions import request_promotion
    from governance.tasks import run_check

    request = request_promotion(
        version=version, target=TARGET, intended_use="Follow-up programme", by=Actor.person(author)
    )
    while waiting := list(request.checks.exclude(state="finished").order_by("position").values_list("pk", flat=True)):
        for run in waiting:
            run_check(str(run))
    request.refresh_from_db()
    if request.state != "ready":
        raise SystemExit("\n".join(f"{run.title}: {run.verdict} {run.summary}" for run in request.checks.all()))
    return request


def _approve(request: "PromotionRequest", officers: Iterable["User"]) -> None:
    from audit.actors import Actor
    from governance.services import reviews

    for officer in officers:
        by = Actor.person(officer, auth="session")
        challenge = reviews.new_challenge(request=request, by=by)
        reviews.sign(
            request_id=request.pk,
            outcome="approve",
            meaning="approval",
            comment="",
            conditions="",
            password=PASSWORD,
            challenge_id=challenge.pk,
            evidence_digest=challenge.evidence_digest,
            by=by,
        )


def signed_request(known: dict[str, "User"]) -> str:
    """A request that two officers signed, with its held-out data; its reference."""
    _holdout(known["author"])
    request = _request(_version(known["author"], "live"), known["author"])
    _approve(request, (known["officer-1"], known["officer-2"]))
    return str(request.ref)


def _fill(author: "User", models: int, versions: int) -> None:
    """Many models and versions, as rows: what stands around the one that is measured."""
    from registry.models import ModelVersion, RegisteredModel

    rows = [RegisteredModel(name=f"model-{number:06}", owner=author, next_version=99) for number in range(models)]
    made = RegisteredModel.objects.bulk_create(rows, batch_size=BATCH)
    pending = (
        ModelVersion(model=made[number % models], number=number // models + 1, registered_by=author)
        for number in range(versions)
    )
    ModelVersion.objects.bulk_create(pending, batch_size=BATCH)


def _measure(user: "User", address: str, rounds: int) -> tuple[float, float, int]:
    """Median and worst milliseconds and number of queries of a page, in this process."""
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    response = client.get(address)
    if response.status_code != 200:
        raise SystemExit(f"{address} answered {response.status_code}")
    with CaptureQueriesContext(connection) as queries:
        client.get(address)
    count = len(queries)  # now: the next request empties the connection's log
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        client.get(address)
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times), max(times), count


def main() -> None:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=10_000)
    parser.add_argument("--versions", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=30)
    given = parser.parse_args()
    with stack.database():
        from audit.sequencer import run_once
        from governance.services.policies import adopt_built_in

        known = people()
        adopt_built_in()
        signed_request(known)
        request = _request(_version(known["author"], "sound"), known["author"])
        _fill(known["author"], given.models, given.versions)
        run_once()
        model = f"/models/{request.model.name}/"
        print(f"\nPages with {given.models} models and {given.versions} versions, median and worst of {given.rounds}")
        print(f"  {'':26}{'median ms':>10}{'worst ms':>10}{'queries':>9}")
        for name, who, address in (
            ("decision screen", "officer-1", f"/requests/{request.ref}/"),
            ("inbox", "officer-1", "/"),
            ("models", "officer-1", "/models/"),
            ("model", "officer-1", model),
            ("version", "officer-1", f"{model}versions/2/"),
            ("lineage of a version", "officer-1", f"{model}versions/2/lineage/"),
            ("audit log", "auditor", "/audit/"),
        ):
            median, worst, queries = _measure(known[who], address, given.rounds)
            print(f"  {name:26}{median:10.1f}{worst:10.1f}{queries:9}")
        print("  target: median below 100 ms, at most 25 queries")


if __name__ == "__main__":
    main()
