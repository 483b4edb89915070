"""What people do with MLflow's client, for whatever release of it the interpreter has. It imports nothing of the product."""
