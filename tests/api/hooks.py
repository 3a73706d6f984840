"""What schemathesis is told about this installation: whom not to lock out."""

import json
import os

import schemathesis

# Ids of what the run itself stands on, each with one that may go instead.
SPARE = json.loads(os.environ.get("SPARE", "{}"))


@schemathesis.hook
def before_call(context, case, kwargs):
    """The run would otherwise end its own session, or deactivate its own users, and learn nothing more."""
    parts = case.path_parameters or {}
    for name, value in parts.items():
        if value in SPARE:
            parts[name] = SPARE[value]
