"""The published SDK behind one face: each operation by its name, and a record of which were called."""

import inspect

import kowabunga
import pytest

#: Operations of the SDK that came back with the answer of a success.
called = set()


def operations():
    """Every operation of the SDK, with the class that holds it."""
    faces = [member for name, member in inspect.getmembers(kowabunga, inspect.isclass) if name.endswith("Api")]
    return {
        name: face
        for face in faces
        for name, _ in inspect.getmembers(face, inspect.isfunction)
        if not name.startswith("_") and not name.endswith(("_with_http_info", "_without_preload_content"))
    }


class Client:
    """Calls as one identity: `client.create_region(...)`."""

    def __init__(self, url, key=None, session=None, wait=None):
        configuration = kowabunga.Configuration(host=f"{url}/api/v1")
        # A request is sent once: what became of it is for the test to judge.
        configuration.retries = False
        if key:
            configuration.api_key["ApiKeyAuth"] = key
        if session:
            configuration.access_token = session
        self._api = kowabunga.ApiClient(configuration)
        if wait:
            self._api.default_headers["Prefer"] = f"wait={wait}"
        self._operations = operations()

    def __getattr__(self, name):
        if name not in self._operations:
            raise AttributeError(f"the SDK has no operation {name}")
        call = getattr(self._operations[name](self._api), name)

        def recorded(*arguments, **named):
            result = call(*arguments, **named)
            called.add(name)
            return result

        return recorded


def refused(status, call, *arguments, **named):
    """Makes a call that must be refused with this status; gives the reason, which must say something."""
    with pytest.raises(kowabunga.ApiException) as caught:
        call(*arguments, **named)
    assert caught.value.status == status, f"{caught.value.status} {caught.value.body}"
    reason = caught.value.data.reason
    assert reason
    return reason
