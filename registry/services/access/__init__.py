"""Writes to accounts, teams, roles and tokens, and the check of a token or a sign-in. Guardian's rows follow the roles."""

from registry.services.access.erasure import Erased, check_can_erase, erase_person, needs_of
from registry.services.access.first import first_account
from registry.services.access.people import change_password, create_user, update_user
from registry.services.access.sign_in import check_may_try_sign_in, record_failed_sign_in, record_sign_in
from registry.services.access.teams import add_member, create_team, grant_role, remove_member, revoke_role
from registry.services.access.tokens import authenticate_token, check_token_may_write, issue_token, revoke_token

__all__ = [
    "Erased",
    "add_member",
    "authenticate_token",
    "change_password",
    "check_can_erase",
    "check_may_try_sign_in",
    "check_token_may_write",
    "create_team",
    "create_user",
    "erase_person",
    "first_account",
    "grant_role",
    "issue_token",
    "needs_of",
    "record_failed_sign_in",
    "record_sign_in",
    "remove_member",
    "revoke_role",
    "revoke_token",
    "update_user",
]
