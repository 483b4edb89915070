"""How often a key and a value of a tag come together: without it, PostgreSQL takes them for independent of each other."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("registry", "0011_searches_of_one_model")]
    operations = [
        migrations.RunSQL(
            'CREATE STATISTICS versiontag_pairs (mcv) ON key, ("left"(value, 100)) FROM registry_versiontag',
            "DROP STATISTICS versiontag_pairs",
        )
    ]
