"""Exemptions from gating: a row that only the owner of the tables writes, and that the wall of 0004 and 0005 honours.

- A target that a policy governs is free while the living model has exactly the name of an exemption in force, or while
  the whole instance (``*``) is exempt. A target that a living permit holds stays governed all the same.
- No model is renamed into an exempt name or out of one: the first would shed its governance, the second would carry what
  was set without a permit to where one is needed.
- An exemption is never deleted and changes once: it ends.
"""

# ruff: noqa: S608 - the only thing put into these texts is a constant
from django.db import migrations, models

PATH = "SET search_path = pg_catalog, public, pg_temp"

EXEMPT = f"""
CREATE FUNCTION governance_exempt_name(the_name text) RETURNS boolean
LANGUAGE sql STABLE {PATH} AS $$
    SELECT EXISTS (SELECT 1 FROM governance_gateexemption WHERE ended_at IS NULL AND name IN ('*', the_name))
$$;

CREATE FUNCTION governance_guard_exemption() RETURNS trigger LANGUAGE plpgsql {PATH} AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.ended_at IS NOT NULL OR (NEW.id, NEW.name, NEW.began_at) <> (OLD.id, OLD.name, OLD.began_at) THEN
        RAISE EXCEPTION 'the exemption of % stays on record as it was', OLD.name
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'exemption_is_kept';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER governance_exemption_guard BEFORE UPDATE OR DELETE ON governance_gateexemption
FOR EACH ROW EXECUTE FUNCTION governance_guard_exemption();
ALTER TABLE governance_gateexemption ENABLE ALWAYS TRIGGER governance_exemption_guard;
"""
NO_EXEMPT = """
DROP TRIGGER governance_exemption_guard ON governance_gateexemption;
DROP FUNCTION governance_guard_exemption();
DROP FUNCTION governance_exempt_name(text);
"""


def governs(*, exempting: bool) -> str:
    """The functions of 0005 that ask what is governed, and what becomes of a name, with and without exemptions."""
    kept = "AND NOT governance_exempt_name(m.name)" if exempting else ""
    renamed = (
        """
    IF TG_OP = 'UPDATE' AND governance_exempt_name(OLD.name) <> governance_exempt_name(NEW.name) THEN
        RAISE EXCEPTION 'model % is not renamed to %: one of the names is exempt from gating, the other is not',
            OLD.name, NEW.name
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'exempt_names_stay';
    END IF;"""
        if exempting
        else ""
    )
    return f"""
CREATE OR REPLACE FUNCTION governance_governs(the_model bigint, the_target text) RETURNS boolean
LANGUAGE sql STABLE {PATH} AS $$
    SELECT EXISTS (
        SELECT 1
        FROM registry_registeredmodel m, governance_policy p
        JOIN governance_policyversion v ON v.id = p.current_id,
        jsonb_array_elements_text(v.targets) AS governed
        WHERE m.id = the_model AND v.tiers @> to_jsonb(m.tier)
          AND governance_looks(governed) = governance_looks(the_target)
          {kept}
    ) OR EXISTS (
        SELECT 1 FROM governance_permit
        WHERE model_id = the_model AND state IN ('active', 'suspended')
          AND governance_looks(target) = governance_looks(the_target)
    )
$$;

CREATE OR REPLACE FUNCTION governance_guard_model() RETURNS trigger LANGUAGE plpgsql {PATH} AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.name = NEW.name AND OLD.deleted_at IS NOT DISTINCT FROM NEW.deleted_at THEN
        RETURN NEW;
    END IF;
    PERFORM 1 FROM governance_permit WHERE model_id = OLD.id AND state IN ('active', 'suspended');
    IF FOUND THEN
        RAISE EXCEPTION 'model % has a living permit and keeps its name and its life: revoke the permit first', OLD.name
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'model_is_kept_by_its_permit';
    END IF;{renamed}
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    RETURN NEW;
END
$$;
"""


class Migration(migrations.Migration):
    """The table, and the functions anew."""

    dependencies = [("governance", "0005_look_alikes")]

    operations = [
        migrations.CreateModel(
            name="GateExemption",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=256)),
                ("began_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "ordering": ["name", "began_at"],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("ended_at", None)), fields=("name",), name="gateexemption_one_in_force"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("name", ""), _negated=True), name="gateexemption_name_not_empty"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("ended_at", None), ("ended_at__gte", models.F("began_at")), _connector="OR"
                        ),
                        name="gateexemption_ends_after_it_began",
                    ),
                ],
            },
        ),
        migrations.RunSQL(EXEMPT, NO_EXEMPT),
        migrations.RunSQL(governs(exempting=True), governs(exempting=False)),
    ]
