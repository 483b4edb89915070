"""A scoring job of a model that is not here takes the predictions that were uploaded. Workers only."""

from governance import vendors
from governance.checks import CheckError, CheckResult
from governance.engine.storing import stored
from governance.models import CheckRun
from governance.services.checks import Outcome
from registry.models import DatasetVersion


def taken(run: CheckRun) -> Outcome:
    """Predictions as they were sealed: checked against the data then, in the order of its rows. Raises ``CheckError``."""
    made = DatasetVersion.objects.select_related("predictions_of", "dataset").get(pk=run.parameters[vendors.KEY])
    if made.table_id is None or made.predictions_of is None or made.predictions_for_id != run.dataset_id:
        raise CheckError("inputs.missing", f"The uploaded predictions {made} are not of this data.")
    result = CheckResult(
        check="predict.scores",
        version=1,
        params={
            "manifest_digest": made.predictions_of.manifest_digest,
            "dataset_digest": run.dataset.digest if run.dataset else "",
        },
        n=made.rows,
        facts={"output_sha256": made.table_id, "uploaded_sha256": made.digest},
        limits=(vendors.MARK,),
    )
    sentence = f"{made.rows} predictions as uploaded in {made}, not computed here."
    return stored(result, CheckRun.Verdict.PASS, sentence, {vendors.KEY: True}, made.table_id)
