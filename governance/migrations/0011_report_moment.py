"""Reports as of a moment: what was asked for in words, and the log size that it meant. Nobody could ask before."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("governance", "0010_reports")]

    operations = [
        migrations.RemoveField(model_name="reportjob", name="as_of"),
        migrations.AddField(
            model_name="reportjob",
            name="as_of",
            field=models.CharField(
                blank=True,
                default="",
                help_text="What was asked for: a day, a time, a log size; empty: the newest moment.",
                max_length=64,
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="reportjob",
            name="moment",
            field=models.BigIntegerField(
                blank=True, help_text="The log size that this meant when it was asked.", null=True
            ),
        ),
        migrations.AddConstraint(
            model_name="reportjob",
            constraint=models.CheckConstraint(
                condition=models.Q(("as_of", ""), ("moment", None))
                | models.Q(models.Q(("as_of", ""), _negated=True), ("moment__isnull", False)),
                name="reportjob_moment_iff_asked",
            ),
        ),
    ]
