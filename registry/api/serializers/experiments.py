"""Experiments, and the teams they are granted to."""

from typing import Any

from rest_framework import serializers

from registry import guards
from registry.api.endpoint import PageQuery
from registry.api.fields import Input, Name, Text
from registry.models import Experiment
from registry.selectors.experiments import ACCESS, grants_of


class ExperimentQuery(PageQuery):
    """Which experiments to list."""

    restricted = serializers.BooleanField(required=False, allow_null=True, default=None)


class ExperimentIn(Input):
    """An experiment of the tracking server that was not created through Countersign."""

    tracking_id = Text(max_length=64, single_line=True)
    owner = Name(max_length=150, help_text="The account that may restrict and grant it.")


class ExperimentChange(Input):
    """Close an experiment, or open it."""

    restricted = serializers.BooleanField()


class GrantIn(Input):
    """What a team may do in a restricted experiment."""

    access = serializers.ChoiceField(choices=list(ACCESS))


class GrantOut(serializers.Serializer[Any]):
    """A team and what it was granted."""

    team = serializers.CharField()
    access = serializers.ChoiceField(choices=list(ACCESS))


class ExperimentOut(serializers.Serializer[Experiment]):
    """An experiment. Its runs are read over MLflow's own API."""

    tracking_id = serializers.CharField()
    name = serializers.CharField()
    owner = serializers.CharField(source="owner.username")
    restricted = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class ExperimentWholeOut(ExperimentOut):
    """The same with its grants, and whether you may change them."""

    grants = serializers.SerializerMethodField()
    managed_by_you = serializers.SerializerMethodField()

    def get_grants(self, experiment: Experiment) -> list[dict[str, str]]:
        """Team by team."""
        return [{"team": team.name, "access": access} for team, access in grants_of(experiment)]

    def get_managed_by_you(self, experiment: Experiment) -> bool:
        """Whether who asks may restrict and grant it."""
        return not guards.why_not(guards.check_can_manage_experiment, self.context["by"], experiment)
