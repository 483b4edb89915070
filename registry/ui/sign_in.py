"""The address of the sign-in page, outside the ``ui`` namespace: Django's own code names it ``login``."""

from django.urls import path

from registry.ui.views.account import SignIn

urlpatterns = [path("", SignIn.as_view(), name="login")]
