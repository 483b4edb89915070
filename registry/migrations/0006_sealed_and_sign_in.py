"""What is sealed stays as it is, column by column, for versions and data sets; failed sign-ins count in a window.

The function of migration 0005 is replaced: the columns to keep are the trigger's arguments.
"""

from django.db import migrations, models

KEEP = """
CREATE OR REPLACE FUNCTION registry_keep_sealed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before jsonb := to_jsonb(OLD);
    after jsonb;
    name text;
BEGIN
    IF OLD.sealed_at IS NULL THEN
        IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
        RETURN NEW;
    END IF;
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION '% % is sealed: its row is never deleted', TG_TABLE_NAME, OLD.id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    after := to_jsonb(NEW);
    FOREACH name IN ARRAY TG_ARGV LOOP
        -- A column after '+' may be filled once: null before is no knowledge, not an answer.
        IF name LIKE '+%' THEN
            name := substr(name, 2);
            CONTINUE WHEN before -> name = 'null'::jsonb;
        END IF;
        IF before -> name IS DISTINCT FROM after -> name THEN
            RAISE EXCEPTION '% % is sealed: % never changes', TG_TABLE_NAME, OLD.id, name
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    END LOOP;
    RETURN NEW;
END $$;
"""


def trigger(table: str, columns: str) -> str:
    """Statements that put the trigger on a table, also for replication and restores."""
    arguments = ", ".join(f"'{name}'" for name in columns.split())
    return f"""
DROP TRIGGER IF EXISTS keep_sealed ON {table};
CREATE TRIGGER keep_sealed BEFORE UPDATE OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION registry_keep_sealed({arguments});
ALTER TABLE {table} ENABLE ALWAYS TRIGGER keep_sealed;
"""


VERSION = trigger(
    "registry_modelversion",
    "id model_id number status manifest_id manifest_digest size_bytes flavours signature source run_id logged_model_id "
    "registered_by_id created_at sealed_at +trained_by_id +code_author_id",
)
DATASET = trigger(
    "registry_datasetversion",
    "id dataset_id number role blob_id digest format rows schema columns status created_by_id created_at sealed_at",
)


class Migration(migrations.Migration):
    dependencies = [("registry", "0005_sealed")]
    operations = [
        migrations.RunSQL(KEEP + VERSION + DATASET, "DROP TRIGGER keep_sealed ON registry_datasetversion;"),
        migrations.AddField(
            model_name="user",
            name="sign_in_window_from",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddConstraint(
            model_name="upload",
            constraint=models.UniqueConstraint(
                condition=models.Q(models.Q(("state", "failed"), _negated=True), models.Q(("dataset", None), _negated=True)),
                fields=("dataset",),
                name="upload_one_per_dataset",
            ),
        ),
    ]
