"""The door to the tracking process: MLflow's own server, ours or an existing one.

``addresses`` lists what is let through and what a request names there; ``permissions`` decides from our rows who may;
``content`` looks into bodies (whose run it is, what is sealed, what looks like an approval); ``answers`` are those we look
into; ``streams`` carries the bytes.
"""

from registry.mlflow.proxy.streams import forward
from registry.mlflow.proxy.view import tracking

__all__ = ["forward", "tracking"]
