"""What is left of dropped entries, and a row for each look at the log."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0004_partitions"),
    ]

    operations = [
        migrations.CreateModel(
            name="StreamHead",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "object_type", "object_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("object_type", models.TextField()),
                ("object_id", models.TextField()),
                ("n", models.BigIntegerField()),
                ("index", models.BigIntegerField()),
            ],
            options={
                "db_table": "audit_streamhead",
            },
        ),
        migrations.CreateModel(
            name="Verification",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.TextField(choices=[("full", "every entry"), ("incremental", "what is new")])),
                (
                    "state",
                    models.TextField(
                        choices=[
                            ("waiting", "waiting"),
                            ("running", "running"),
                            ("sound", "sound"),
                            ("broken", "broken"),
                            ("failed", "failed"),
                        ],
                        default="waiting",
                    ),
                ),
                ("asked_by", models.TextField()),
                ("asked_at", models.DateTimeField()),
                ("started_at", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                ("seen_at", models.DateTimeField(null=True)),
                ("first", models.BigIntegerField(default=0)),
                ("size", models.BigIntegerField(default=0)),
                ("root", models.TextField(blank=True, default="")),
                ("done", models.BigIntegerField(default=0)),
                ("broken", models.IntegerField(default=0)),
                ("problems", models.JSONField(blank=True, default=list)),
                ("error", models.TextField(blank=True, default="")),
            ],
            options={
                "indexes": [
                    models.Index(
                        models.F("state"), models.OrderBy(models.F("id"), descending=True), name="verification_by_state"
                    )
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("finished_at", None), ("state__in", ["waiting", "running"])),
                            models.Q(("finished_at__isnull", False), ("state__in", ["sound", "broken", "failed"])),
                            _connector="OR",
                        ),
                        name="verification_finished_iff_it_ended",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("broken__gt", 0), ("state", "broken")),
                            models.Q(models.Q(("state", "broken"), _negated=True), ("broken", 0)),
                            _connector="OR",
                        ),
                        name="verification_broken_iff_problems",
                    ),
                    models.UniqueConstraint(
                        models.Value(1),
                        condition=models.Q(("state__in", ["waiting", "running"])),
                        name="verification_one_at_a_time",
                    ),
                ],
            },
        ),
    ]
