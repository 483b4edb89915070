"""Findings, scripts and checks of plug-ins in the reports about a request."""

import pytest

from governance.documents.catalogue import build
from governance.models import CheckRun, PromotionRequest
from governance.services import findings
from registry.models import User
from registry.roles import Role
from tests.factories import governance as make
from tests.factories.audit import by_hand

pytestmark = pytest.mark.django_db


def test_the_report_of_a_request_holds_what_was_found(
    awaited: CheckRun, validator: User, approvers: list[User]
) -> None:
    run = findings.record(
        run_id=awaited.pk, finding="pass", words="The method is right.", attachment=None, by=make.actor(validator)
    )
    request = PromotionRequest.objects.get(pk=run.request_id)
    with by_hand():
        CheckRun.objects.filter(request=request, key="performance.binary").update(category="actuarial")
    make.integrate()
    pack = build("request", {"request": request.ref}, reader=make.person("auditor", Role.AUDITOR))
    (section,) = [one for one in pack.data["sections"] if one["key"] == "checks"]
    blocks = {one["key"]: one for one in section["blocks"]}
    assert [row["category"] for row in blocks["checks"]["rows"]] == ["Findings", "Actuarial"]
    assert blocks["remarks"]["rows"][0]["why"] == "The method is right."
