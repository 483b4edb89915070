"""What PostgreSQL itself refuses, whoever asks: the last wall behind ``governance.gatekeeper`` (invariants 7, 10 and 15).

- A governed alias or stage moves only while an active, unexpired permit for exactly that version and target exists, and
  is taken away only while none does. Governed is what a policy in force names for the model's tier.
- A request that is closed, or a permit that has ended, is never reopened; what a permit says never changes; neither is
  deleted.

The triggers are ENABLE ALWAYS, so ``session_replication_role`` does not switch them off, and they are functions of our
own, so ``pgtrigger.ignore`` does not reach them.
"""

from django.db import migrations

FUNCTIONS = r"""
CREATE FUNCTION governance_governs(the_model bigint, the_target text) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT 1
        FROM registry_registeredmodel m, governance_policy p
        JOIN governance_policyversion v ON v.id = p.current_id
        WHERE m.id = the_model AND v.targets ? the_target AND v.tiers @> to_jsonb(m.tier)
    )
$$;

-- FOR SHARE: whoever revokes that permit at this moment waits for us, or we for them and then see it revoked.
CREATE FUNCTION governance_permits(the_model bigint, the_version uuid, the_target text) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM governance_permit
    WHERE model_id = the_model AND version_id = the_version AND target = the_target
      AND state = 'active' AND expires_at > now()
    FOR SHARE;
    RETURN FOUND;
END
$$;

CREATE FUNCTION governance_guard_alias() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT'
       AND (TG_OP = 'DELETE' OR OLD.model_id <> NEW.model_id OR OLD.name <> NEW.name)
       AND governance_governs(OLD.model_id, 'alias:' || OLD.name)
       AND governance_permits(OLD.model_id, OLD.version_id, 'alias:' || OLD.name) THEN
        RAISE EXCEPTION 'alias % is governed and its permit is active: revoke the permit first', OLD.name
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'alias_moves_with_a_permit';
    END IF;
    IF TG_OP <> 'DELETE'
       AND governance_governs(NEW.model_id, 'alias:' || NEW.name)
       AND NOT governance_permits(NEW.model_id, NEW.version_id, 'alias:' || NEW.name) THEN
        RAISE EXCEPTION 'alias % is governed and this version has no active permit for it', NEW.name
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'alias_moves_with_a_permit';
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    RETURN NEW;
END
$$;

CREATE FUNCTION governance_guard_stage() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.stage <> NEW.stage
       AND governance_governs(OLD.model_id, 'stage:' || OLD.stage)
       AND governance_permits(OLD.model_id, OLD.id, 'stage:' || OLD.stage) THEN
        RAISE EXCEPTION 'stage % is governed and its permit is active: revoke the permit first', OLD.stage
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'stage_moves_with_a_permit';
    END IF;
    IF (TG_OP = 'INSERT' OR OLD.stage <> NEW.stage OR OLD.model_id <> NEW.model_id)
       AND governance_governs(NEW.model_id, 'stage:' || NEW.stage)
       AND NOT governance_permits(NEW.model_id, NEW.id, 'stage:' || NEW.stage) THEN
        RAISE EXCEPTION 'stage % is governed and this version has no active permit for it', NEW.stage
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'stage_moves_with_a_permit';
    END IF;
    RETURN NEW;
END
$$;

CREATE FUNCTION governance_guard_request() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'a promotion request is never deleted'
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'request_is_kept';
    END IF;
    IF OLD.closed_at IS NOT NULL THEN
        RAISE EXCEPTION 'request % is closed (%) and stays as it is', OLD.number, OLD.state
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'request_stays_closed';
    END IF;
    IF (NEW.id, NEW.number, NEW.version_id, NEW.model_id, NEW.target, NEW.manifest_digest, NEW.requested_by_id)
       IS DISTINCT FROM
       (OLD.id, OLD.number, OLD.version_id, OLD.model_id, OLD.target, OLD.manifest_digest, OLD.requested_by_id) THEN
        RAISE EXCEPTION 'what request % is about never changes', OLD.number
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'request_keeps_its_subject';
    END IF;
    RETURN NEW;
END
$$;

CREATE FUNCTION governance_guard_permit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'a permit is never deleted'
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'permit_is_kept';
    END IF;
    IF OLD.ended_at IS NOT NULL THEN
        RAISE EXCEPTION 'permit % has ended (%) and stays as it is', OLD.id, OLD.state
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'permit_stays_ended';
    END IF;
    IF (NEW.id, NEW.request_id, NEW.version_id, NEW.model_id, NEW.target, NEW.manifest_digest, NEW.envelope, NEW.key_id,
        NEW.not_before, NEW.expires_at)
       IS DISTINCT FROM
       (OLD.id, OLD.request_id, OLD.version_id, OLD.model_id, OLD.target, OLD.manifest_digest, OLD.envelope, OLD.key_id,
        OLD.not_before, OLD.expires_at) THEN
        RAISE EXCEPTION 'what permit % says never changes', OLD.id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'permit_says_what_was_signed';
    END IF;
    RETURN NEW;
END
$$;
"""

# Statement order matters to nobody: each trigger stands alone.
TRIGGERS = (
    ("registry_alias", "governance_alias_gate", "INSERT OR UPDATE OR DELETE", "governance_guard_alias"),
    ("registry_modelversion", "governance_stage_gate", "INSERT OR UPDATE OF stage, model_id", "governance_guard_stage"),
    ("governance_promotionrequest", "governance_request_guard", "UPDATE OR DELETE", "governance_guard_request"),
    ("governance_permit", "governance_permit_guard", "UPDATE OR DELETE", "governance_guard_permit"),
)
CREATE = "\n".join(
    f"CREATE TRIGGER {name} BEFORE {events} ON {table} FOR EACH ROW EXECUTE FUNCTION {function}();\n"
    f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name};"
    for table, name, events, function in TRIGGERS
)
DROP = "\n".join(f"DROP TRIGGER {name} ON {table};" for table, name, _, _ in TRIGGERS)
DROP_FUNCTIONS = "\n".join(
    f"DROP FUNCTION {name};"
    for name in (
        "governance_guard_alias()", "governance_guard_stage()", "governance_guard_request()", "governance_guard_permit()",
        "governance_permits(bigint, uuid, text)", "governance_governs(bigint, text)",
    )
)


class Migration(migrations.Migration):
    """Functions, triggers, and the sequence of request numbers (gaps are allowed, repetition is not)."""

    dependencies = [("governance", "0003_engine"), ("registry", "0002_evaluation_dataset")]

    operations = [
        migrations.RunSQL("CREATE SEQUENCE governance_request_number", "DROP SEQUENCE governance_request_number"),
        migrations.RunSQL(FUNCTIONS, DROP_FUNCTIONS),
        migrations.RunSQL(CREATE, DROP),
    ]
