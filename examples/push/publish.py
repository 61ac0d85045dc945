# Publish from Python, with the standard library only.
#
#     WSPLUG_TOKEN=secret python publish.py news weather
#
# WSPLUG_URL is the URL; the default is http://localhost:9000/publish.

import json
import os
import sys
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen


def publish(channels: list[str], data: object, store: bool = True) -> Any:
    """
    Publish data as JSON, and return the result for each channel.
    """
    request = Request(
        os.environ.get("WSPLUG_URL", "http://localhost:9000/publish"),
        json.dumps({"channels": channels, "data": data, "store": store}).encode(),
        {
            "Authorization": "Bearer " + os.environ["WSPLUG_TOKEN"],
            "Content-Type": "application/json",
        },
    )
    with urlopen(request, timeout=10) as response:
        return json.load(response)["published"]


if __name__ == "__main__":
    try:
        for each in publish(sys.argv[1:], {"headline": "Hello from Python", "n": 1}):
            print(f"{each['channel']}: to {each['subscribers']} subscribers")
    except HTTPError as error:
        sys.exit(f"{error}: {error.read().decode()}")
