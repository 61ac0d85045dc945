# Publish from Python, with nothing but the standard library.
#
#     WSPLUG_TOKEN=secret python publish.py news weather
#
# WSPLUG_URL says where, if it isn't http://localhost:9000/publish.

import json
import os
import sys
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen


def publish(channels: list[str], data: object, store: bool = True) -> Any:
    """
    Publish what can be written as JSON, and give what has become of it in each channel.
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
