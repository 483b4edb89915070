from django.db import migrations, models
from django.db.models import F


class Migration(migrations.Migration):

    dependencies = [
        ('registry', '0002_evaluation_dataset'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='modelversion',
            index=models.Index('model', 'stage', F('number') * -1, condition=models.Q(('deleted_at', None)), name='modelversion_latest'),
        ),
    ]
