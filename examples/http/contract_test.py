"""A contract test of one's own service over HTTP: no engine, no database, any language.

    python3 examples/http/contract_test.py target/debug/freehold

The service is `welcome`: it gives each new customer a project, and has to tell them honestly when that failed.
"""

import json
import pathlib
import subprocess
import sys
import urllib.error
import urllib.request


class Freehold:
    """A host that keeps all in memory and goes wrong by plan, ended with the test."""

    def __init__(self, program, faults):
        command = [program, "serve", "--ephemeral", "--target", "mock", "--faults", faults]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.access = json.loads(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def ask(self, method, path, body=None, key=None):
        """The status and the body of an answer."""
        headers = {"Authorization": f"Bearer {self.access['token']}", "Content-Type": "application/json"}
        if key:
            headers["Idempotency-Key"] = key
        data = None if body is None else json.dumps(body).encode()
        url = f"{self.access['url']}/api/freehold/v1/{path}"
        try:
            with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method)) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


def welcome(freehold, customer):
    """Gives a customer a project, and says what they are told: the service under test."""
    wanted = {"organization": customer, "name": "main"}
    status, answer = freehold.ask("POST", "projects", wanted, key="sign-up")
    if status == 503:  # Nobody knows what became of it: with the same key, asking again makes no second one.
        status, answer = freehold.ask("POST", "projects", wanted, key="sign-up")
    assert status == 201, answer
    ref = answer["project"]["ref"]
    _, project = freehold.ask("GET", f"projects/{ref}/wait?statuses=ACTIVE_HEALTHY,INIT_FAILED")
    if project["status"] == "ACTIVE_HEALTHY":
        return f"Welcome, {customer}! Your project is {ref}."
    return f"Sorry, {customer}: we could not set up your project. We have been told."


def main(program):
    faults = pathlib.Path(__file__).with_name("faults.toml")
    with Freehold(program, faults) as freehold:
        for customer, told in [("alice", "Welcome, alice!"), ("bob", "Sorry, bob"), ("carol", "Welcome, carol!")]:
            answer = welcome(freehold, customer)
            assert answer.startswith(told), answer
            print(answer)
        _, projects = freehold.ask("GET", "projects?organization=carol")
        assert len(projects["items"]) == 1, projects


main(*sys.argv[1:])
