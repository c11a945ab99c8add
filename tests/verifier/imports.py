"""Keys that come in as components: who holds which, which were given, and that the key made is the one ordered.

Follows orders and components alone. The components themselves are in no log.
"""

from exported_log import Broken
from roster import OFFICER, OPERATOR

CARD_MASTER = 0
LIFE_MS = 24 * 3_600_000


class Import:
    """An order: the check value of the whole, and of each component with its custodian."""

    def __init__(self, request, due_ms):
        self.check = request[4]
        self.components = [(component[0], component[1]) for component in request[5]]
        self.due_ms, self.given, self.made = due_ms, set(), False

    @property
    def complete(self):
        return len(self.given) == len(self.components)


class Imports:
    """The versions that were ordered of each key, and those of them that come in as components."""

    def __init__(self, keys):
        self.newest, self.of_proposal, self.of_key, self.in_token = {}, {}, {}, set()
        for key in keys:
            self.newest[key[1]] = max(self.newest.get(key[1], 0), key[2])

    def check_request(self, request, roster):
        """Two or three components, each of another person who may hold one."""
        components = request[5]
        if request[3] != CARD_MASTER or not 2 <= len(components) <= 3:
            raise Broken("not two or three components of a card master")
        custodians = [roster.enabled(component[0]) for component in components]
        for member in custodians:
            if member.fields[2] not in (OFFICER, OPERATOR) or member.signing_key is None:
                raise Broken(f"{member.name} cannot hold a component")
        if len({member.signing_key for member in custodians}) != len(custodians):
            raise Broken("one person holds two components")
        if len({component[1] for component in components}) != len(components):
            raise Broken("two components are the same")
        if {officer.name for officer in roster.officers() if officer.enabled} <= {one[0] for one in components}:
            raise Broken("every officer is a custodian of its components")

    def check_people(self, request, names):
        if names <= {component[0] for component in request[5]}:
            raise Broken("only the custodians of its components agreed")

    def order(self, operation, request, proposal, time_ms):
        """The next version of a key; from components where it is an import."""
        name = request[2]
        self.newest[name] = self.newest.get(name, 0) + 1
        if operation == "key.import":
            ordered = Import(request, time_ms + LIFE_MS)
            self.of_proposal[proposal] = self.of_key[name, self.newest[name]] = ordered
        else:
            self.in_token.add((name, self.newest[name]))

    def give(self, by, request, time_ms):
        ordered = self.of_proposal.get(request[2])
        if ordered is None:
            raise Broken("a component of no import")
        if ordered.made:
            raise Broken("a component of a key that is made already")
        if not 1 <= request[3] <= len(ordered.components):
            raise Broken("a component that was not ordered")
        custodian, check = ordered.components[request[3] - 1]
        if by != custodian:
            raise Broken(f"{by} gave the component of {custodian}")
        if request[4] != check:
            raise Broken("not the component that was ordered")
        if time_ms > ordered.due_ms:
            raise Broken("the import had expired")
        ordered.given.add(request[3])

    def intended(self, name, version):
        ordered = self.of_key.get((name, version))
        if ordered is not None and not ordered.complete:
            raise Broken("a key is made before every component was given")

    def made(self, key):
        """The key is the one that was ordered, and came from where it was ordered to come from."""
        version = key[1], key[2]
        ordered = self.of_key.get(version)
        if ordered is not None:
            if key[6] != {0: {0: ordered.check}}:
                raise Broken("the key that came in is not the one that was ordered")
            ordered.made = True
        elif version not in self.in_token:
            return
        local = [attribute[1] for attribute in key[9] if attribute[0] == "CKA_LOCAL"]
        if local[:1] not in (["true"], ["false"]):
            raise Broken("the record of a key that was ordered does not say where the key came from")
        if ordered is not None and local[0] != "false":
            raise Broken("the key was to come in as components, and the token made it")
        if ordered is None and local[0] != "true":
            raise Broken("the token was to make the key, and it came from elsewhere")
