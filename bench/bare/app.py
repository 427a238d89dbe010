"""The least that a Chalice function with a DynamoDB client can be: what ours are measured against."""

import botocore.session
from chalice.app import Chalice

app = Chalice(app_name="bare")


@app.route("/")
def index() -> dict[str, str]:
    """Answer something."""
    return {"hello": "world"}


def client() -> object:
    """The client."""
    return botocore.session.get_session().create_client("dynamodb")
