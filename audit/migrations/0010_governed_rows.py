"""What the triggers on governed tables ask of the inbox, by an index; and what the reconciliation asks of inbox and log.

The triggers themselves are made after each migration, for the tables that there are by then (``audit.triggers``).
"""

from django.db import migrations, models


# The last entry of each object that says what the object is like. SECURITY DEFINER: web and workers may not read the
# inbox, but they compare tables with the log. It gives away digests only. What was dropped with its partition is known by
# the head of its stream; its digest is in the export.
LAST_SAID = """
CREATE FUNCTION audit_last_said(kind text, ids text[], below bigint, with_inbox boolean)
RETURNS TABLE (id text, digest text, index bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH asked AS (SELECT DISTINCT one AS id FROM unnest(ids) AS one),
    waiting AS (
        SELECT DISTINCT ON (about) about, canon::jsonb #>> '{object,digest}' AS digest FROM public.audit_inbox AS inbox
        WHERE with_inbox AND about IN (SELECT kind || ':' || asked.id FROM asked)
        AND canon::jsonb #>> '{object,digest}' <> ''
        ORDER BY about, inbox.id DESC
    )
    SELECT asked.id, coalesce(waiting.digest, last.object_digest, 'dropped'),
        CASE WHEN waiting.digest IS NULL THEN coalesce(last.index, head.index) END
    FROM asked
    LEFT JOIN waiting ON waiting.about = kind || ':' || asked.id
    LEFT JOIN LATERAL (
        SELECT object_digest, entry.index FROM public.audit_entry AS entry
        WHERE object_type = kind AND object_id = asked.id AND entry.index < below AND object_digest <> ''
        ORDER BY entry.index DESC LIMIT 1
    ) AS last ON true
    LEFT JOIN public.audit_streamhead AS head ON head.object_type = kind AND head.object_id = asked.id
    WHERE waiting.digest IS NOT NULL OR last.object_digest IS NOT NULL OR head.index IS NOT NULL
$$;
REVOKE ALL ON FUNCTION audit_last_said(text, text[], bigint, boolean) FROM PUBLIC;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('audit', '0009_retention'),
    ]

    operations = [
        migrations.AddField(
            model_name='inbox',
            name='about',
            field=models.GeneratedField(db_persist=True, expression=models.Func(models.F('canon'), output_field=models.TextField(), template="((%(expressions)s::jsonb #>> '{object,type}') || ':' || (%(expressions)s::jsonb #>> '{object,id}'))"), help_text='type:id of the object, by which the triggers of audit.triggers find the entry of a change.', output_field=models.TextField()),
        ),
        migrations.AddIndex(
            model_name='inbox',
            index=models.Index(models.F('txid'), models.F('about'), name='inbox_by_object'),
        ),
        migrations.RunSQL(LAST_SAID, "DROP FUNCTION audit_last_said(text, text[], bigint, boolean)"),
    ]
