"""Invariant 11: the view as of a moment is unchanged by writes after it, and is what a replay of the log leads to."""

import itertools
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.actors import SYSTEM
from audit.history.inspection import broken_chains, disagreements
from audit.history.tables import remembered
from config import as_of
from config.errors import Refusal
from registry.models import RegisteredModel, User
from registry.services import access, catalog, versions
from tests.api.calls import Api
from tests.factories import pages as make
from tests.time_travel.moments import here

_numbers = itertools.count(1)
_WORDS = st.sampled_from(["", "one", "two", "thrée"])
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["describe", "card", "tag", "untag", "rename", "version_tag", "stage"]), _WORDS),
        st.tuples(
            st.sampled_from(["model", "version", "seal", "alias", "unalias", "lineage", "member", "drop"]), _WORDS
        ),
        st.tuples(st.sampled_from(["undone", "twice"]), _WORDS),
        st.tuples(st.just("look"), st.just("")),
    ),
    min_size=4,
    max_size=14,
)


class House:
    """People who change one model and what belongs to it."""

    def __init__(self, scientist: User) -> None:
        self.by = make.actor(scientist)
        self.person = scientist
        self.model = make.model(scientist, f"model-{next(_numbers)}")
        self.version = make.pending_version(self.model, scientist)
        self.team = access.create_team(name=f"team {next(_numbers)}", by=SYSTEM)

    def do(self, what: str, word: str) -> None:
        """One step; what is refused changes nothing, which is as good."""
        with suppress(Refusal):
            getattr(self, what)(word)

    def describe(self, word: str) -> None:
        catalog.update_model(model=self.model, description=word, by=self.by)

    def card(self, word: str) -> None:
        catalog.update_model(model=self.model, card={"intended_use": word}, by=self.by)

    def tag(self, word: str) -> None:
        catalog.set_model_tag(model=self.model, key="k", value=word, by=self.by)

    def untag(self, _: str) -> None:
        catalog.delete_model_tag(model=self.model, key="k", by=self.by)

    def rename(self, word: str) -> None:
        self.model = catalog.rename_model(model=self.model, new_name=f"{word}-{next(_numbers)}", by=self.by)

    def version_tag(self, word: str) -> None:
        versions.set_version_tag(version=self.version, key="k", value=word, by=self.by)

    def stage(self, word: str) -> None:
        stage = {"one": "Staging", "two": "Archived"}.get(word, "None")
        versions.set_stage(version=self.version, stage=stage, archive_existing=word == "two", by=self.by)

    def version_(self, word: str) -> None:
        self.version = make.pending_version(self.model, self.person, description=word)

    def seal(self, word: str) -> None:
        self.version = make.sealed_version(self.model, self.person, {"MLmodel": word.encode()})

    def alias(self, word: str) -> None:
        catalog.set_alias(model=self.model, alias=f"a{word}"[:2], number=self.version.number, by=self.by)

    def unalias(self, word: str) -> None:
        catalog.delete_alias(model=self.model, alias=f"a{word}"[:2], by=self.by)

    def lineage(self, word: str) -> None:
        make.record_lineage(self.version, dataset=f"data {word}", run=f"run-{next(_numbers)}")

    def member(self, word: str) -> None:
        change = access.add_member if word else access.remove_member
        change(team=self.team, user=self.person, by=SYSTEM)

    def drop(self, word: str) -> None:
        if word == "two":
            catalog.delete_model(model=self.model, by=SYSTEM)
            self.model = make.model(self.person, f"model-{next(_numbers)}")

    def undone(self, word: str) -> None:
        with suppress(ZeroDivisionError), transaction.atomic():
            self.describe(word)
            self.tag(word)
            raise ZeroDivisionError

    def twice(self, word: str) -> None:
        with transaction.atomic():
            self.describe("in between")
            self.describe(word)


def everything(moment: as_of.Moment) -> Mapping[str, Any]:
    """All rows of all remembered tables, and all entries, as of the moment."""
    with as_of.travelling(moment), connection.cursor() as cursor:
        found = {}
        for table in [*(one.table for one in remembered()), "audit_entry"]:
            cursor.execute(f'SELECT to_jsonb(t)::text FROM "{table}" t ORDER BY 1')
            found[table] = [row[0] for row in cursor.fetchall()]
        return found


def answers(api: Api, moment: as_of.Moment, name: str) -> list[object]:
    """What people and programs read."""
    at = f"?as_of={moment.name}"
    paths = ("models", f"models/{name}", f"models/{name}/versions", f"models/{name}/aliases")
    said: list[object] = [json.loads(api.get(f"{path}{at}").content).get("results", path) for path in paths]
    said += [api.get(f"{path}{at}").status_code for path in paths]
    return said


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=_STEPS)
def test_later_writes_never_change_what_was_and_the_log_leads_to_it(
    steps: list[tuple[str, str]], scientist: User, auditor: User
) -> None:
    house = House(scientist)
    _, secret = access.issue_token(user=auditor, name="t", scope="read", days=1, by=make.actor(auditor))
    api = Api(secret)
    seen = []
    for what, word in [*steps, ("look", "")]:
        if what == "look":
            moment = here()
            name = RegisteredModel.objects.get(pk=house.model.pk).name
            seen.append((moment, name, everything(moment), answers(api, moment, name)))
        elif what == "model":
            house.drop("two")
        else:
            house.do("version_" if what == "version" else what, word)
    here()

    for moment, name, rows, said in seen:
        assert everything(moment) == rows
        assert answers(api, moment, name) == said
        assert [str(one) for one in disagreements(moment)] == []
    assert list(broken_chains()) == []
