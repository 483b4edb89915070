"""Experiments: who may see them. Their runs are MLflow's."""

from django.contrib.auth.models import Group
from django.urls import reverse
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from config.errors import Invalid, NotFound
from registry import guards
from registry.api.endpoint import Endpoint, created
from registry.api.schema import IDEMPOTENCY_KEY, documented, page_of
from registry.api.serializers.experiments import (
    ExperimentChange,
    ExperimentIn,
    ExperimentOut,
    ExperimentQuery,
    ExperimentWholeOut,
    GrantIn,
)
from registry.models import Experiment, User
from registry.services import experiments as services
from registry.services.idempotency import Answer

TAG = "experiments"


class ExperimentEndpoint(Endpoint):
    """Views of experiments."""

    def experiment(self, tracking_id: str) -> Experiment:
        """The experiment. Raises ``NotFound``, also for one that may not be seen."""
        rows = Experiment.objects.visible_to(self.person).select_related("owner")
        found = rows.filter(tracking_id=tracking_id).first()
        if found is None:
            raise NotFound("There is no such experiment, or you may not see it.", code="experiment.unknown")
        return found

    def team(self, name: str) -> Group:
        """The team. Raises ``NotFound``."""
        found = Group.objects.filter(name=name).first()
        if found is None:
            raise NotFound(f"There is no team {name!r}.", code="team.unknown")
        return found

    def shown(self, experiment: Experiment) -> Response:
        """All of it."""
        return Response(ExperimentWholeOut(experiment, context={"by": self.actor}).data)


class Experiments(ExperimentEndpoint):
    """All experiments that are known here, and one taken into care."""

    query = ExperimentQuery

    @documented("experiments_list", "List experiments", tag=TAG, query=ExperimentQuery, answer=page_of(ExperimentOut))
    def get(self, _request: Request) -> Response:
        """Those you may see, newest first."""
        asked = self.ask()
        rows = Experiment.objects.visible_to(self.person).select_related("owner")
        if asked["restricted"] is not None:
            rows = rows.filter(restricted=asked["restricted"])
        return self.listed(rows, keys=["-created_at", "-pk"], asked=asked, present=ExperimentOut)

    @documented(
        "experiments_adopt",
        "Take an experiment into care that was not created through Countersign",
        tag=TAG,
        request=ExperimentIn,
        answer=ExperimentWholeOut,
        status=201,
        writes=True,
        parameters=[IDEMPOTENCY_KEY],
    )
    def post(self, _request: Request) -> Response:
        """Adopt: administrators."""
        guards.check_can_administer(self.actor)
        given = self.read(ExperimentIn)
        owner = User.objects.filter(username=given["owner"], is_active=True).first()
        if owner is None:
            raise Invalid(f"There is no account {given['owner']!r}.", code="experiment.owner", field="owner")

        def adopt() -> Answer:
            there = services.look_up(given["tracking_id"])
            found = services.adopt_experiment(
                tracking_id=there.id, name=there.name, artifact_root=there.artifact_root, owner=owner, by=self.actor
            )
            return created(
                ExperimentWholeOut(found, context={"by": self.actor}).data,
                location=reverse("api:experiment", kwargs={"experiment": found.tracking_id}),
            )

        return self.once(adopt)


class OneExperiment(ExperimentEndpoint):
    """One experiment."""

    @documented("experiments_read", "Read an experiment and its grants", tag=TAG, answer=ExperimentWholeOut)
    def get(self, _request: Request, experiment: str) -> Response:
        """Read."""
        self.ask()
        return self.shown(self.experiment(experiment))

    @documented(
        "experiments_restrict",
        "Restrict an experiment, or open it",
        tag=TAG,
        request=ExperimentChange,
        answer=ExperimentWholeOut,
        writes=True,
    )
    def patch(self, _request: Request, experiment: str) -> Response:
        """Restrict: its owner and administrators."""
        found = self.experiment(experiment)
        given = self.read(ExperimentChange)
        changed = services.set_restricted(experiment=found, restricted=given["restricted"], by=self.actor)
        return self.shown(changed)


class Grant(ExperimentEndpoint):
    """What one team was granted."""

    @documented(
        "experiments_grant",
        "Grant a restricted experiment to a team",
        tag=TAG,
        request=GrantIn,
        answer=ExperimentWholeOut,
        writes=True,
    )
    def put(self, _request: Request, experiment: str, team: str) -> Response:
        """Grant: its owner and administrators."""
        found = self.experiment(experiment)
        given = self.read(GrantIn)
        services.grant_experiment(experiment=found, team=self.team(team), access=given["access"], by=self.actor)
        return self.shown(found)

    @documented("experiments_revoke", "Take an experiment from a team", tag=TAG, answer=None, status=204, writes=True)
    def delete(self, _request: Request, experiment: str, team: str) -> Response:
        """Revoke: its owner and administrators."""
        services.revoke_experiment(experiment=self.experiment(experiment), team=self.team(team), by=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)
