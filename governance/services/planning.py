"""From a policy to the jobs of one round: which checks, on which data, after which scoring, and what is known already."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any, Final
from uuid import UUID

from django.conf import settings

from audit.actors import Actor
from audit.services import append
from config.errors import Conflict, Invalid
from governance import advisories, vendors
from governance.checks import CheckError, Manifest, manifest
from governance.checks.code import SCORING, code_of
from governance.modality import why_not_applicable
from governance.models import CheckRun, PromotionRequest
from governance.policy import CheckRequirement, SandboxRule
from governance.services import parts
from governance.services.planned import awaited, not_applicable, reuse
from governance.standing import filled_card, policy_of
from registry.models import DatasetVersion, ModelVersion
from registry.selectors.lineage import node_of, upstream

SCORES: Final = "predict.scores"
CHAMPION: Final = "predict.champion"
TRAINING: Final = "predict.training"
SCORING_VERSION: Final = "1"
_READS_DATA: Final = {
    *("data", "label", "sensitive", "predictions", "scores", "champion"),
    *("probe", "trees", "latency", "live_data"),
}
_RUNS_MODEL: Final = {
    *("predictions", "scores", "champion", "train_predictions", "probe", "live_probe", "trees", "latency", "script"),
}
"""Needs that a run of the model, now or before, has to meet."""
_NEVER_REUSED: Final = {"latency", "papers"}
"""What is true of a machine at a moment, or of what people wrote since, is found out anew."""


def plan(request: PromotionRequest, *, by: Actor) -> Sequence[CheckRun]:
    """Make the check runs of the request's present round and return them; results known already are finished at once.

    The (locked) request is of a policy whose checks exist. Raises ``Invalid`` naming the data set that is missing.
    """
    policy = policy_of(request.policy_version)
    scored: dict[tuple[Any, Any], CheckRun] = {}
    runs: list[CheckRun] = []
    sizes: dict[UUID, int] = {}

    def scoring(version: ModelVersion, dataset: DatasetVersion, key: str) -> CheckRun:
        if (version.pk, dataset.pk) not in scored:
            same = sum(1 for run in runs if run.key.startswith(key))
            run = _scoring(request, version, dataset, f"{key}.{same + 1}" if same else key)
            scored[version.pk, dataset.pk] = run
            sizes[run.pk] = 1 if vendors.KEY in run.parameters else parts.parts_for_scores(dataset.rows)
            runs.append(run)
        return scored[version.pk, dataset.pk]

    for need in policy.checks:
        about = _about(need)
        dataset = _data_of(request, need)
        training = None if _why_not(request, about) else _training_of(request, about)
        waits: list[CheckRun] = []
        if dataset is not None and {"predictions", "scores", "champion"} & set(about.needs):
            waits.append(scoring(request.version, dataset, SCORES))
            if "champion" in about.needs and request.replaces is not None:
                waits.append(scoring(request.replaces, dataset, CHAMPION))
        if training is not None and "train_predictions" in about.needs:
            waits.append(scoring(request.version, training, TRAINING))
        run = _run(request, need, about, dataset, training, titles=[one.use for one in policy.checks])
        run.needs = waits[0] if waits else None
        run.also_needs = [one.pk for one in waits[1:]]
        if about.splits and dataset is not None:
            sizes[run.pk] = parts.parts_for(dataset.rows)
        runs.append(run)
    for position, run in enumerate(runs):
        run.position = position
        reuse(run)
        run.save(force_insert=True)
    parts.cut(runs, sizes)
    for run in runs:
        if run.reused_from is None:
            append(action="check.planned", subject=run, by=by, facts={"round": run.round, "position": run.position})
        else:
            append(
                action="check.finished",
                subject=run,
                by=by,
                reason=f"The result of {run.reused_from.request.ref} was used again: nothing it depends on has changed.",
                facts={
                    "result_digest": run.result_digest,
                    "reused_from": str(run.reused_from_id),
                    "cache_key": run.cache_key,
                    **not_applicable(run),
                },
            )
    return runs


def check_data(request: PromotionRequest) -> None:
    """Raise ``Invalid`` naming the data set that is missing, as ``plan`` would."""
    for need in policy_of(request.policy_version).checks:
        _live_data_of(_data_of(request, need), _about(need), str(need.params.get("live", "")))


def _data_of(request: PromotionRequest, need: CheckRequirement) -> DatasetVersion | None:
    about = _about(need)
    return _dataset(request, need) if _READS_DATA & set(about.needs) and not _why_not(request, about) else None


def _about(need: CheckRequirement) -> Manifest:
    """What the check says about itself. Raises ``Conflict`` for one of a plug-in that is not here any more."""
    try:
        return manifest(need.use)
    except CheckError as error:
        raise Conflict(
            f"The policy asks for “{need.use}”, which is not in the catalogue of this installation.",
            code="policy.check_missing",
            remedy="Ask the operator to install and trust the plug-in that brings it, or adopt a policy without it.",
        ) from error


def _why_not(request: PromotionRequest, about: Manifest) -> str:
    return why_not_applicable(about, request.version.flavours, request.version.signature) or vendors.why_not_run(
        request.version, about
    )


def _training_of(request: PromotionRequest, about: Manifest) -> DatasetVersion | None:
    wanted = {"training", "train_predictions"} & set(about.needs) or about.key == "data.quality"
    return training_of(request.version) if wanted else None


def _live_data_of(dataset: DatasetVersion | None, about: Manifest, named: str) -> DatasetVersion | None:
    """The newest sealed rows of the same data set that the live version was given, or the data that the policy names."""
    if dataset is None or "live_data" not in about.needs:
        return None
    if named:
        return _named_data(named)
    return DatasetVersion.objects.sealed().filter(dataset=dataset.dataset_id, role="live").order_by("-number").first()


def _named_data(named: str) -> DatasetVersion:
    """``name``, its newest sealed version, or ``name@3``. Raises ``Invalid``."""
    name, at, number = named.rpartition("@")
    sealed = DatasetVersion.objects.sealed().order_by("-number")
    if at and number.isdecimal():
        found = sealed.filter(dataset__name=name, number=int(number)).first()
    else:
        found = sealed.filter(dataset__name=named).first()
    if found is None:
        raise Invalid(
            f"The policy compares with the live data “{named}”, and there is no sealed data set of that name.",
            code="promotion.no_dataset",
            field="dataset",
            remedy="Register and seal one, or correct the name in the policy.",
            extra={"dataset": named},
        )
    return found


def _scoring(request: PromotionRequest, version: ModelVersion, dataset: DatasetVersion, key: str) -> CheckRun:
    champion = version.pk != request.version_id
    return CheckRun(
        request=request,
        round=request.round,
        key=key,
        check_version=SCORING_VERSION,
        title=vendors.title(
            version, dataset, f"Predictions of {'the live version ' if champion else ''}v{version.number} on {dataset}"
        ),
        category="scoring",
        parameters=vendors.parameters(version, dataset),
        dataset=dataset,
        cache_key=_cache_key(
            "predict.scores",
            SCORING_VERSION,
            version.manifest_digest,
            dataset.digest,
            _columns(dataset),
            code_of(SCORING).digest,
            vendors.digest(version, dataset),
            *_demanded(request),
            *_libraries(),
        ),
    )


def _run(
    request: PromotionRequest,
    need: CheckRequirement,
    about: Manifest,
    dataset: DatasetVersion | None,
    training: DatasetVersion | None,
    *,
    titles: Sequence[str],
) -> CheckRun:
    if need.is_manual:
        return awaited(request, need, about)
    compared = {"champion", "live_probe"} & set(about.needs)
    champion = request.replaces.manifest_digest if compared and request.replaces else ""
    card = filled_card(request.model) if "card" in about.needs else {}
    wanted = list(policy_of(request.policy_version).card) if "card" in about.needs else []
    live = _live_data_of(dataset, about, str(need.params.get("live", "")))
    metrics = dict(request.version.metrics) if {"metrics", "recorded"} & set(about.needs) else {}
    several = titles.count(need.use) > 1
    return CheckRun(
        request=request,
        round=request.round,
        key=need.key,
        check_version=str(about.version),
        title=f"{about.title}: {', '.join(need.sensitive) or need.key}" if several or about.key == "script" else about.title,
        category=about.category,
        parameters=dict(need.params),
        requirement={
            "use": about.name,
            "sensitive": list(need.sensitive),
            "insufficient_data": need.insufficient_data,
            "predictions": need.predictions,
            "accepts_not_applicable": need.not_applicable == "accept",
            "training": str(training.pk) if training else "",
            "live_data": str(live.pk) if live else "",
            "not_applicable": _why_not(request, about),
            "limits": [
                {"figure": one.figure, "op": one.op, "value": one.value, "bound": one.bound, "ideal": one.ideal}
                for one in need.limits
            ],
        },
        dataset=dataset,
        cache_key="" if _is_of_now(about) else _cache_key(
            about.name, code_of(about.name).digest, code_of(SCORING).digest, dict(need.params), list(need.sensitive),
            request.manifest_digest, dataset.digest if dataset else "", _columns(dataset), champion, card, wanted,
            training.digest if training else "", _columns(training), live.digest if live else "", metrics,
            _why_not(request, about), *_demanded(request), need.predictions, vendors.digest(request.version, dataset),
            vendors.digest(request.replaces, dataset) if champion and request.replaces else "",
            advisories.stamp(settings.ADVISORIES_DIR) if "advisories" in about.needs else "",
            *(_libraries() if _RUNS_MODEL & set(about.needs) else ()),
        ),
    )  # fmt: skip


def _is_of_now(about: Manifest) -> bool:
    """Whether an earlier result says nothing: of a machine, of papers, or of advisories where this process sees no list."""
    if "advisories" in about.needs and not advisories.stamp(settings.ADVISORIES_DIR):
        return True
    return bool(_NEVER_REUSED & set(about.needs))


def training_of(version: ModelVersion) -> DatasetVersion | None:
    """The newest training data in the version's lineage whose bytes are sealed here, or None."""
    node = node_of(version)
    if node is None:
        return None
    digests = {str(one.digests.get("sha256", "")) for one in upstream(node).nodes if one.kind == "dataset"}
    sealed = DatasetVersion.objects.sealed().filter(digest__in=digests - {""}, role=DatasetVersion.Role.TRAIN)
    return sealed.order_by("-sealed_at", "pk").first()


def _columns(dataset: DatasetVersion | None) -> object:
    return dataset.columns if dataset else None


def _demanded(request: PromotionRequest) -> tuple[str, ...]:
    """What the policy demands of the sandbox, if anything: a run under less may not be taken for one."""
    sandbox = policy_of(request.policy_version).sandbox
    return () if sandbox == SandboxRule() else (sandbox.level, sandbox.environment)


def _libraries() -> tuple[str, ...]:
    """Where environments come from, if from anywhere: a model may run with other libraries then, and answer otherwise.

    The lock itself is found in the worker, after this; it is in the result's provenance.
    """
    return (f"environments from {settings.SANDBOX_SOURCE}",) if settings.SANDBOX_SOURCE else ()


def _cache_key(*parts: object) -> str:
    """Digest of everything that determines a result. Only ever compared with itself, so any fixed form will do."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _dataset(request: PromotionRequest, need: CheckRequirement) -> DatasetVersion:
    """The data a check reads: of the name in the policy, else of the model's evaluation data set. Raises ``Invalid``."""
    model = request.model
    sealed = DatasetVersion.objects.sealed().select_related("dataset").order_by("-number")
    if need.dataset:
        sealed, name = sealed.filter(dataset__name=need.dataset), need.dataset
    elif model.evaluation_dataset is not None:
        sealed, name = sealed.filter(dataset=model.evaluation_dataset), model.evaluation_dataset.name
    else:
        raise Invalid(
            f"The policy wants {need.key} on {need.data_role} data, and {model.name} has no evaluation data set.",
            code="promotion.no_dataset",
            field="evaluation_dataset",
            remedy="Register one, seal it, and name it as the model's evaluation data set.",
        )
    found = _of_role(sealed, need.data_role)
    if found is None:
        raise Invalid(
            f"The data set “{name}” has no sealed version with the role “{need.data_role}”, which {need.key} is to run on.",
            code="promotion.no_dataset",
            field="dataset",
            remedy="Register and seal one with that role.",
            extra={"dataset": name, "role": need.data_role},
        )
    vendors.check_not_theirs(request.version, found)
    return found


def _of_role(versions: Iterable[DatasetVersion], role: str) -> DatasetVersion | None:
    """The newest of that role. The registry has no role “validation”; there it is “other”."""
    wanted = role if role in DatasetVersion.Role.values else DatasetVersion.Role.OTHER
    return next((version for version in versions if version.role == wanted), None)
