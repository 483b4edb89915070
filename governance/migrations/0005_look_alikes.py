"""The wall of 0004, higher: look-alikes, the shelf life of "governed", names under a permit, and policies that stay.

- A name is compared without case and in Unicode's compatibility form, so ``Production`` is no way round ``production``.
- A living permit keeps its target governed: making the model less strict, or another policy, does not set the name free.
- While a permit lives, its model keeps name and life; an alias names a version of its own model.
- A policy keeps its name, is never deleted, never without a version once it had one, and goes forward only.

The functions fix their search path: a role that may make temporary tables cannot show them other tables.
"""

# ruff: noqa: S608 - the only thing put into these texts is a constant
from django.db import migrations

PATH = "SET search_path = pg_catalog, public, pg_temp"

FUNCTIONS = f"""
CREATE FUNCTION governance_looks(name text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE {PATH} AS $$ SELECT lower(normalize(name, NFKC)) $$;

CREATE OR REPLACE FUNCTION governance_governs(the_model bigint, the_target text) RETURNS boolean
LANGUAGE sql STABLE {PATH} AS $$
    SELECT EXISTS (
        SELECT 1
        FROM registry_registeredmodel m, governance_policy p
        JOIN governance_policyversion v ON v.id = p.current_id,
        jsonb_array_elements_text(v.targets) AS governed
        WHERE m.id = the_model AND v.tiers @> to_jsonb(m.tier)
          AND governance_looks(governed) = governance_looks(the_target)
    ) OR EXISTS (
        SELECT 1 FROM governance_permit
        WHERE model_id = the_model AND state IN ('active', 'suspended')
          AND governance_looks(target) = governance_looks(the_target)
    )
$$;

ALTER FUNCTION governance_permits(bigint, uuid, text) {PATH};
ALTER FUNCTION governance_guard_alias() {PATH};
ALTER FUNCTION governance_guard_stage() {PATH};
ALTER FUNCTION governance_guard_request() {PATH};
ALTER FUNCTION governance_guard_permit() {PATH};

CREATE FUNCTION governance_guard_alias_home() RETURNS trigger LANGUAGE plpgsql {PATH} AS $$
BEGIN
    PERFORM 1 FROM registry_modelversion WHERE id = NEW.version_id AND model_id = NEW.model_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'alias % names a version of another model', NEW.name
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'alias_stays_at_home';
    END IF;
    RETURN NEW;
END
$$;

CREATE FUNCTION governance_guard_model() RETURNS trigger LANGUAGE plpgsql {PATH} AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.name = NEW.name AND OLD.deleted_at IS NOT DISTINCT FROM NEW.deleted_at THEN
        RETURN NEW;
    END IF;
    PERFORM 1 FROM governance_permit WHERE model_id = OLD.id AND state IN ('active', 'suspended');
    IF FOUND THEN
        RAISE EXCEPTION 'model % has a living permit and keeps its name and its life: revoke the permit first', OLD.name
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'model_is_kept_by_its_permit';
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    RETURN NEW;
END
$$;

CREATE FUNCTION governance_guard_policy() RETURNS trigger LANGUAGE plpgsql {PATH} AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.name <> NEW.name THEN
        RAISE EXCEPTION 'policy % keeps its name and is never deleted', OLD.name
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'policy_is_kept';
    END IF;
    IF OLD.current_id IS DISTINCT FROM NEW.current_id AND NOT EXISTS (
        SELECT 1 FROM governance_policyversion v
        WHERE v.id = NEW.current_id AND v.policy_id = NEW.id
          AND v.number > coalesce((SELECT number FROM governance_policyversion WHERE id = OLD.current_id), 0)
    ) THEN
        RAISE EXCEPTION 'policy % goes on to a newer version of its own only', OLD.name
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'policy_goes_forward';
    END IF;
    RETURN NEW;
END
$$;
"""

TRIGGERS = (
    (
        "registry_alias",
        "governance_alias_home",
        "INSERT OR UPDATE OF model_id, version_id",
        "governance_guard_alias_home",
    ),
    (
        "registry_registeredmodel",
        "governance_model_guard",
        "UPDATE OF name, deleted_at OR DELETE",
        "governance_guard_model",
    ),
    ("governance_policy", "governance_policy_guard", "UPDATE OR DELETE", "governance_guard_policy"),
)
CREATE = "\n".join(
    f"CREATE TRIGGER {name} BEFORE {events} ON {table} FOR EACH ROW EXECUTE FUNCTION {function}();\n"
    f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name};"
    for table, name, events, function in TRIGGERS
)
DROP = "\n".join(
    f"DROP TRIGGER {name} ON {table}; DROP FUNCTION {function}();" for table, name, _, function in TRIGGERS
)


class Migration(migrations.Migration):
    """Functions and triggers only. Undone, the triggers go; the stricter comparison stays, as it refuses more."""

    dependencies = [("governance", "0004_gate"), ("registry", "0006_sealed_and_sign_in")]

    operations = [migrations.RunSQL(FUNCTIONS, migrations.RunSQL.noop), migrations.RunSQL(CREATE, DROP)]
