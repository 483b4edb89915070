"""The address of the sign-in page."""

from django.contrib.auth.views import LoginView
from django.urls import path

urlpatterns = [path("", LoginView.as_view(), name="login")]
