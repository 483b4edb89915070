"""The log in partitions: ``audit_entry`` by range of index, ``audit_checkpoint`` by range of size, 2**22 to each.

The tables that exist become the first partitions as they are: no row is copied, so no byte of a leaf can change. The new
parents take over names, constraints, indexes and triggers. Why this size: docs/adr/0012-log-at-scale.md.
"""

from django.db import migrations

# Every function has its own search path: whoever may make objects could put one of the same name in front.

BOUNDS = """
CREATE FUNCTION audit_partition_bounds(parent regclass)
RETURNS TABLE (name text, low bigint, high bigint)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT child.relname::text, (said[1])::bigint, (said[2])::bigint
    FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
    CROSS JOIN LATERAL regexp_match(
        pg_get_expr(child.relpartbound, child.oid), 'FROM \\(''?(\\d+)''?\\) TO \\(''?(\\d+)''?\\)') AS said
    WHERE inhparent = parent
    ORDER BY 2
$$;
"""

# A partition is made beside the log and then attached: that locks out neither readers nor the sequencer. It gets the
# parent's row trigger from the parent, and a trigger against TRUNCATE, which PostgreSQL does not hand down.
MAKE = """
CREATE FUNCTION audit_make_partition(parent regclass, low bigint, high bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    name text := (SELECT relname FROM pg_class WHERE oid = parent) || '_from_' || low;
    guard record;
BEGIN
    EXECUTE format('CREATE TABLE public.%I (LIKE %s INCLUDING ALL)', name, parent);
    EXECUTE format('ALTER TABLE %s ATTACH PARTITION public.%I FOR VALUES FROM (%s) TO (%s)', parent, name, low, high);
    EXECUTE format('CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON public.%I'
        ' FOR EACH STATEMENT EXECUTE FUNCTION public.audit_refuse_change()', name);
    FOR guard IN SELECT tgname FROM pg_trigger WHERE tgrelid = format('public.%I', name)::regclass LOOP
        EXECUTE format('ALTER TABLE public.%I ENABLE ALWAYS TRIGGER %I', name, guard.tgname);
    END LOOP;
END
$$;
"""

# SECURITY DEFINER: the sequencer owns nothing and may make no table, but may have the next partition made.
ENSURE = """
CREATE FUNCTION audit_ensure_partitions() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    width constant bigint := 4194304;
    size bigint;
    room bigint;
BEGIN
    SELECT coalesce(max(index) + 1, 0) INTO size FROM public.audit_entry;
    SELECT coalesce(max(high), 0) INTO room FROM public.audit_partition_bounds('public.audit_entry');
    -- Half a partition ahead of need. Whoever calls cannot say how much there is: that would be a way to make tables.
    IF room <= size + width / 2 THEN
        PERFORM public.audit_make_partition('public.audit_entry', room, (room / width + 1) * width);
        -- A checkpoint of this size is over the entries below it.
        PERFORM public.audit_make_partition('public.audit_checkpoint', room + 1, (room / width + 1) * width + 1);
        room := (room / width + 1) * width;
    END IF;
    RETURN room;
END
$$;
REVOKE ALL ON FUNCTION audit_ensure_partitions() FROM PUBLIC;
REVOKE ALL ON FUNCTION audit_make_partition(regclass, bigint, bigint) FROM PUBLIC;
"""

CONVERT = """
CREATE FUNCTION pg_temp.audit_convert(parent text, key text, low bigint, high bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    first text := parent || '_from_' || low;
    indexes text[] := ARRAY(SELECT pg_get_indexdef(indexrelid) FROM pg_index
        WHERE indrelid = format('public.%I', parent)::regclass AND NOT indisprimary);
    guards text[] := ARRAY(SELECT pg_get_triggerdef(oid) FROM pg_trigger
        WHERE tgrelid = format('public.%I', parent)::regclass AND NOT tgisinternal);
    -- pgtrigger keeps there which definition is installed.
    comments text[] := ARRAY(
        SELECT format('COMMENT ON TRIGGER %I ON public.%I IS %L', tgname, parent, obj_description(oid, 'pg_trigger'))
        FROM pg_trigger WHERE tgrelid = format('public.%I', parent)::regclass AND NOT tgisinternal);
    one record;
    statement text;
BEGIN
    FOR one IN SELECT tgname FROM pg_trigger
        WHERE tgrelid = format('public.%I', parent)::regclass AND NOT tgisinternal LOOP
        EXECUTE format('DROP TRIGGER %I ON public.%I', one.tgname, parent);
    END LOOP;
    FOR one IN SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
        WHERE indrelid = format('public.%I', parent)::regclass LOOP
        EXECUTE format('ALTER INDEX public.%I RENAME TO %I', one.relname, one.relname || '_from_' || low);
    END LOOP;
    EXECUTE format('ALTER TABLE public.%I RENAME TO %I', parent, first);
    -- Not INCLUDING ALL: the indexes come below under the names they had.
    EXECUTE format('CREATE TABLE public.%I (LIKE public.%I INCLUDING ALL EXCLUDING INDEXES) PARTITION BY RANGE (%I)',
        parent, first, key);
    EXECUTE format('ALTER TABLE public.%I ADD PRIMARY KEY (%I)', parent, key);
    FOREACH statement IN ARRAY indexes LOOP
        EXECUTE statement;
    END LOOP;
    EXECUTE format('ALTER TABLE public.%I ATTACH PARTITION public.%I FOR VALUES FROM (%s) TO (%s)',
        parent, first, low, high);
    FOREACH statement IN ARRAY guards || comments LOOP
        EXECUTE statement;
    END LOOP;
    EXECUTE format('CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON public.%I'
        ' FOR EACH STATEMENT EXECUTE FUNCTION public.audit_refuse_change()', first);
    FOR one IN SELECT tgrelid::regclass AS relation, tgname FROM pg_trigger
        WHERE tgrelid IN (format('public.%I', parent)::regclass, format('public.%I', first)::regclass)
        AND NOT tgisinternal LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', one.relation, one.tgname);
    END LOOP;
END
$$;

DO $$
DECLARE
    -- Of a log that is larger already, the first partition has all there is.
    high bigint := (SELECT (coalesce(max(index), 0) / 4194304 + 1) * 4194304 FROM public.audit_entry);
BEGIN
    PERFORM pg_temp.audit_convert('audit_entry', 'index', 0, high);
    PERFORM pg_temp.audit_convert('audit_checkpoint', 'size', 1, high + 1);
END
$$;

DROP FUNCTION pg_temp.audit_convert(text, text, bigint, bigint);
"""


class Migration(migrations.Migration):
    """No way back: whoever needs the tables of before has the backup of before."""

    dependencies = [("audit", "0003_planned_once")]

    operations = [
        migrations.RunSQL(BOUNDS, migrations.RunSQL.noop),
        migrations.RunSQL(MAKE, migrations.RunSQL.noop),
        migrations.RunSQL(ENSURE, migrations.RunSQL.noop),
        migrations.RunSQL(CONVERT),
    ]
