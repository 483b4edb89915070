"""What the inbox takes must be readable by every reader of the log, not only by PostgreSQL.

jsonb nests thousands of levels and holds numbers of thousands of digits; Python's reader gives up on both, so one such row
would have stopped the sequencer for good. Our own writer makes neither (``audit.canonical``). Rows already in are not
looked at again.
"""

from django.db import migrations

CANON_IS_SOUND = """
CREATE OR REPLACE FUNCTION audit_canon_is_sound(canon text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(
        octet_length(canon) <= 1048576
        AND jsonb_typeof(body) = 'object'
        AND body ->> 'v' = '1'
        AND body ->> 'at' ~ '^[0-9]{1,16}$' AND jsonb_typeof(body -> 'at') = 'number'
        AND length(body ->> 'id') BETWEEN 1 AND 64
        AND body ->> 'salt' ~ '^[0-9a-f]{32}$'
        AND length(body ->> 'action') BETWEEN 1 AND 100
        AND length(body #>> '{actor,id}') BETWEEN 1 AND 255
        AND length(body #>> '{actor,name}') BETWEEN 0 AND 255
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
        false)
    FROM (SELECT canon::jsonb AS body) AS parsed
$$;
"""


class Migration(migrations.Migration):
    """One function. Undone, the stricter one stays: it refuses nothing that our own code writes."""

    dependencies = [("audit", "0001_initial")]

    operations = [migrations.RunSQL(CANON_IS_SOUND, migrations.RunSQL.noop)]
