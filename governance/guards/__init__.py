"""Who may do what: each check passes in silence or raises a ``Refusal`` with reason and remedy.

The same sentence explains a disabled button (``why_not``) and answers the request that was made all the same.
"""

from governance.guards.checks import check_can_cancel, check_can_retry
from governance.guards.findings import check_can_record
from governance.guards.permits import (
    check_can_resume,
    check_can_revoke,
    check_can_suspend,
    check_none_being_made,
)
from governance.guards.requests import (
    APPROVALS,
    LONGEST_TEXT,
    check_can_ask_waiver,
    check_can_comment,
    check_can_export,
    check_can_report,
    check_can_request,
    check_can_review_broken_glass,
    check_can_run_again,
    check_can_see,
    check_can_sign,
    check_can_sign_waiver,
    check_can_withdraw,
    check_log_holds,
    check_may_vote,
    check_waiver_until,
    person,
    slot_for,
    text_of,
    why_not,
)

__all__ = [
    "APPROVALS",
    "LONGEST_TEXT",
    "check_can_ask_waiver",
    "check_can_cancel",
    "check_can_comment",
    "check_can_export",
    "check_can_record",
    "check_can_report",
    "check_can_request",
    "check_can_resume",
    "check_can_retry",
    "check_can_review_broken_glass",
    "check_can_revoke",
    "check_can_run_again",
    "check_can_see",
    "check_can_sign",
    "check_can_sign_waiver",
    "check_can_suspend",
    "check_can_withdraw",
    "check_log_holds",
    "check_may_vote",
    "check_none_being_made",
    "check_waiver_until",
    "person",
    "slot_for",
    "text_of",
    "why_not",
]
