"""Entries of the second format, which name nobody, and the tables of what they commit to (docs/adr/0014-personal-data.md).

Entries of the first format stay as they are, and are still taken: processes of the release before may write a little longer.
"""

import django.db.models.functions.datetime
from django.db import migrations, models

SOUND = """
CREATE OR REPLACE FUNCTION audit_canon_is_sound(canon text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    body jsonb := canon::jsonb;
BEGIN
    RETURN coalesce(
        octet_length(canon) <= 1048576
        AND jsonb_typeof(body) = 'object'
        AND (body ->> 'v' = '2' AND body #> '{actor,name}' IS NULL AND jsonb_typeof(body -> 'commitments') = 'array'
            OR body ->> 'v' = '1' AND length(body #>> '{actor,name}') BETWEEN 0 AND 255)
        AND body ->> 'at' ~ '^[0-9]{1,16}$' AND jsonb_typeof(body -> 'at') = 'number'
        AND length(body ->> 'id') BETWEEN 1 AND 64
        AND body ->> 'salt' ~ '^[0-9a-f]{32}$'
        AND length(body ->> 'action') BETWEEN 1 AND 100
        AND length(body #>> '{actor,id}') BETWEEN 1 AND 255
        AND length(body #>> '{actor,kind}') BETWEEN 1 AND 20
        AND length(body #>> '{object,type}') BETWEEN 1 AND 100
        AND length(body #>> '{object,id}') BETWEEN 1 AND 255
        AND length(body #>> '{object,version}') BETWEEN 0 AND 255
        AND length(body #>> '{object,digest}') BETWEEN 0 AND 255
        AND length(body ->> 'request_id') BETWEEN 0 AND 255
        AND jsonb_typeof(body -> 'diff') = 'object'
        AND jsonb_typeof(body -> 'facts') = 'object'
        AND jsonb_typeof(body -> 'reason') = 'string'
        AND NOT jsonb_path_exists(body, '$.**{33 to last}')
        AND NOT jsonb_path_exists(body, '$.** ? (@.type() == "number" &&
            (@ > 9007199254740991 || @ < -9007199254740991 || @.floor() != @))'),
        false);
END
$$;
"""

# A key is made once and destroyed once. The person stays, as one who was: the row says that nothing more can be told.
ENDS_ONCE = """
CREATE FUNCTION audit_person_ends_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.key IS NOT NULL AND NEW.key IS NULL AND NEW.subject = OLD.subject
        AND NEW.known_since = OLD.known_since THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'audit_person: a key is only ever destroyed: % is refused', TG_OP USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER audit_person_ends_once BEFORE UPDATE OR DELETE ON audit_person
    FOR EACH ROW EXECUTE FUNCTION audit_person_ends_once();
ALTER TABLE audit_person ENABLE ALWAYS TRIGGER audit_person_ends_once;
"""


class Migration(migrations.Migration):
    """Undone, the function stays: entries of the second format may be there."""

    dependencies = [("audit", "0006_witnessing")]

    operations = [
        migrations.RunSQL(SOUND, migrations.RunSQL.noop),
        migrations.CreateModel(
            name="Disclosure",
            fields=[
                ("digest", models.TextField(primary_key=True, serialize=False)),
                ("subject", models.TextField(db_index=True)),
                ("field", models.TextField()),
                ("sealed", models.BinaryField()),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("digest__regex", "^[A-Za-z0-9_-]{43}$")), name="disclosure_digest_is_sha256"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Person",
            fields=[
                ("subject", models.TextField(primary_key=True, serialize=False)),
                ("key", models.BinaryField(null=True)),
                ("known_since", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("erased_at", models.DateTimeField(null=True)),
                ("erased_entry", models.TextField(blank=True, db_default="", default="")),
            ],
            options={
                "verbose_name_plural": "people",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("erased_at", None), ("erased_entry", ""), ("key__isnull", False)),
                            models.Q(("erased_at__isnull", False), ("key", None), models.Q(("erased_entry", ""), _negated=True)),
                            _connector="OR",
                        ),
                        name="person_has_a_key_or_is_erased",
                    )
                ],
            },
        ),
        migrations.RunSQL(ENDS_ONCE, "DROP FUNCTION audit_person_ends_once() CASCADE"),
    ]
