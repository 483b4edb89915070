"""A sealed version's identity never changes and its row is never deleted, whoever asks: PostgreSQL refuses."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION registry_keep_sealed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.sealed_at IS NULL THEN
        IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
        RETURN NEW;
    END IF;
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'version % is sealed: its row is never deleted', OLD.id USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF (NEW.model_id, NEW.number, NEW.manifest_id, NEW.manifest_digest, NEW.size_bytes, NEW.source, NEW.status,
        NEW.registered_by_id, NEW.sealed_at)
       IS DISTINCT FROM
       (OLD.model_id, OLD.number, OLD.manifest_id, OLD.manifest_digest, OLD.size_bytes, OLD.source, OLD.status,
        OLD.registered_by_id, OLD.sealed_at)
    THEN
        RAISE EXCEPTION 'version % is sealed: its identity never changes', OLD.id USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER keep_sealed BEFORE UPDATE OR DELETE ON registry_modelversion
    FOR EACH ROW EXECUTE FUNCTION registry_keep_sealed();
ALTER TABLE registry_modelversion ENABLE ALWAYS TRIGGER keep_sealed;
"""
BACKWARD = "DROP TRIGGER keep_sealed ON registry_modelversion; DROP FUNCTION registry_keep_sealed();"


class Migration(migrations.Migration):
    dependencies = [("registry", "0004_accounts_and_datasets")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
