"""Evidence to take away: bundles as jobs, and samples of the log."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import FileResponse
from django.urls import reverse
from rest_framework.request import Request
from rest_framework.response import Response

from audit.exports.bundle import checkpoint_of
from config.errors import Invalid
from governance import sampling
from governance.api.serializers.exports import (
    CountOut,
    ExportIn,
    ExportOut,
    PopulationIn,
    SampleOut,
    SamplePlanIn,
    ScaleOut,
    SeedIn,
    SizeOut,
    SizeQuery,
)
from governance.bundles import questions
from governance.bundles.members import scale_of
from governance.bundles.questions import Question
from governance.followers import ring_export
from governance.models import Sample
from governance.models.exports import ExportState
from governance.selectors.requests import request_of
from governance.services import exports, samples
from registry.api.endpoint import Endpoint, PageQuery, created
from registry.api.schema import BYTES, IDEMPOTENCY_KEY, documented, page_of
from registry.models import User
from registry.selectors.catalog import model_by_name, version_by_number
from registry.services.idempotency import Answer

TAG = "evidence"


def question_of(given: dict[str, Any], user: User) -> Question:
    """What the fields ask for. Raises ``NotFound``, ``NotAllowed`` and ``Invalid``."""
    match given["kind"]:
        case "request":
            return questions.about_request(user, request_of(user, given["request"]))
        case "version":
            model = model_by_name(given["model"], user)
            return questions.about_version(user, version_by_number(model, given["version"]))
        case "model":
            return questions.about_model(user, model_by_name(given["model"], user))
        case "sample":
            return questions.about_sample(user, questions.sample_of(user, given["sample"]))
        case _:
            since: datetime = given["since"]
            return questions.about_period(user, since, given["until"])


class Exports(Endpoint):
    """The bundles one asked for, and a new one."""

    query = PageQuery

    @documented("exports_list", "List your evidence bundles", tag=TAG, query=PageQuery, answer=page_of(ExportOut))
    def get(self, _request: Request) -> Response:
        """Newest first; nobody else sees them."""
        rows = exports.of_person(self.person)
        return self.listed(rows, keys=["-created_at", "-pk"], asked=self.ask(), present=ExportOut)

    @documented(
        "exports_create",
        "Ask for an evidence bundle",
        tag=TAG,
        request=ExportIn,
        answer=ExportOut,
        status=201,
        writes=True,
        errors=[429],
        parameters=[IDEMPOTENCY_KEY],
        description="A small one without a report is ready at once (`state` is `finished`); a worker writes the others.",
    )
    def post(self, _request: Request) -> Response:
        """Ask."""
        given = self.read(ExportIn)
        question = question_of(given, self.person)
        if question.kind in questions.REPORTED and given.get("report", True):
            question = questions.with_report(question)

        def create() -> Answer:
            made = exports.ask(question=question, by=self.actor, size=given.get("log_size"))
            if made.state == ExportState.QUEUED:
                ring_export(made.pk)
            return created(ExportOut(made).data, location=reverse("api:export", kwargs={"export": made.pk}))

        return self.once(create)


class ExportScale(Endpoint):
    """What a bundle would hold."""

    @documented(
        "exports_scale", "See what a bundle would hold", tag=TAG, request=ExportIn, answer=ScaleOut, errors=[409, 422]
    )
    def post(self, _request: Request) -> Response:
        """Count, without writing anything."""
        given = self.read(ExportIn)
        question = question_of(given, self.person)
        return Response(ScaleOut(scale_of(question, size=checkpoint_of(given.get("log_size")).size)).data)


class OneExport(Endpoint):
    """One bundle."""

    @documented("exports_read", "Follow an evidence bundle", tag=TAG, answer=ExportOut)
    def get(self, _request: Request, export: UUID) -> Response:
        """How far it is."""
        self.ask()
        return Response(ExportOut(exports.export_of(self.person, export)).data)


class ExportFile(Endpoint):
    """The file."""

    @documented(
        "exports_download",
        "Download an evidence bundle",
        tag=TAG,
        answers={(200, "application/zip"): BYTES},
        errors=[409],
        description="`python verify.py bundle.zip` checks it without a network. Only who asked for it may have it.",
    )
    def get(self, _request: Request, export: UUID) -> FileResponse:
        """Send it."""
        self.ask()
        found = exports.export_of(self.person, export)
        return FileResponse(
            exports.file_of(found).open("rb"),
            as_attachment=True,
            filename=exports.name_of(found),
            content_type="application/zip",
        )


def population_of(given: dict[str, Any]) -> samples.Population:
    """The population that the fields describe."""
    return samples.Population(
        since=given["since"],
        until=given["until"],
        actions=tuple(given["actions"]),
        object_type=given["object_type"],
        stratify_by=given["stratify_by"],
    )


class Samples(Endpoint):
    """Samples of the log, and a new plan."""

    query = PageQuery

    @documented("samples_list", "List samples", tag=TAG, query=PageQuery, answer=page_of(SampleOut))
    def get(self, _request: Request) -> Response:
        """Newest first, of every auditor: what was planned and given up is seen, too."""
        questions.check_auditor(self.person)
        rows = Sample.objects.select_related("planned_by")
        return self.listed(rows, keys=["-planned_at", "-pk"], asked=self.ask(), present=SampleOut)

    @documented(
        "samples_plan",
        "Plan a sample",
        tag=TAG,
        request=SamplePlanIn,
        answer=SampleOut,
        status=201,
        writes=True,
        parameters=[IDEMPOTENCY_KEY],
        description="Counts the population, fixes the sizes and logs both with the commitment to your seed. Nothing is drawn.",
    )
    def post(self, _request: Request) -> Response:
        """Plan."""
        given = self.read(SamplePlanIn)

        def create() -> Answer:
            made = samples.plan(
                population=population_of(given),
                title=given["title"],
                by=self.actor,
                seed_commitment=given["seed_commitment"],
                size=given.get("size", 0),
                sizes=given.get("sizes"),
            )
            return created(SampleOut(made).data, location=reverse("api:sample", kwargs={"sample": made.pk}))

        return self.once(create)


class SampleCount(Endpoint):
    """How large a population is."""

    @documented(
        "samples_count", "Count a population", tag=TAG, request=PopulationIn, answer=CountOut, errors=[409, 422]
    )
    def post(self, _request: Request) -> Response:
        """Count, without planning anything."""
        counted = samples.count(population_of(self.read(PopulationIn)), by=self.actor)
        strata = [{"stratum": name, "population": number} for name, number in counted.counts.items()]
        return Response(
            {"begin": counted.begin, "end": counted.end, "population": counted.total, "others": counted.others,
             "strata": strata}
        )  # fmt: skip


class SampleSize(Endpoint):
    """How many to look at."""

    query = SizeQuery

    @documented(
        "samples_size",
        "Compute an attribute sample size",
        tag=TAG,
        query=SizeQuery,
        answer=SizeOut,
        description="The smallest sample that shows, with `confidence`, a rate of deviations below `tolerable`, if no more "
        "than `expected` are found. Exact (hypergeometric).",
    )
    def get(self, _request: Request) -> Response:
        """Compute."""
        asked = self.ask()
        size = sampling.attribute_size(
            asked["population"],
            confidence=asked["confidence"],
            tolerable=asked["tolerable"],
            expected=asked["expected"],
        )
        return Response({"size": size})


class OneSample(Endpoint):
    """One sample."""

    @documented("samples_read", "Read a sample", tag=TAG, answer=SampleOut)
    def get(self, _request: Request, sample: UUID) -> Response:
        """Its plan, and what was drawn."""
        self.ask()
        return Response(SampleOut(questions.sample_of(self.person, sample)).data)


class SampleDraw(Endpoint):
    """The draw."""

    @documented("samples_draw", "Draw a sample", tag=TAG, request=SeedIn, answer=SampleOut, writes=True)
    def post(self, _request: Request, sample: UUID) -> Response:
        """Open the commitment and draw, once."""
        questions.sample_of(self.person, sample)
        given = self.read(SeedIn)
        if not given["seed"]:
            raise Invalid("Give the seed.", code="sample.seed", field="seed")
        samples.draw(sample_id=sample, seed=given["seed"], by=self.actor)
        return Response(SampleOut(questions.sample_of(self.person, sample)).data)
