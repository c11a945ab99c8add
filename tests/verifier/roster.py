"""Who is enrolled, who may vote, and how many people an operation takes: rebuilt leaf by leaf."""

import base64

from cose import Signed, key_identifier
from exported_log import Broken, decode, encode, sha256

KINDS = ["station", "terminal", "officer", "operator", "office", "auditor", "platform"]
OFFICER = KINDS.index("officer")
OPERATOR = KINDS.index("operator")
OPERATIONS = (
    "status key.list key.get job.open card.derive value.update log.checkpoint log.entries log.proof bundle.get "
    "value.batch proposal.list proposal.get proposal.approve proposal.reject proposal.cancel proposal.result "
    "principal.enrol principal.rotate principal.disable principal.enable principal.list key.create key.activate "
    "key.suspend key.retire key.compromise key.destroy key.impact freeze.set freeze.lift freeze.list quorum.set "
    "clock.confirm evidence.get key.import component.key component.give profile.put profile.get profile.list "
    "policy.propose policy.get ceremony.record job.create job.items job.seal job.withdraw job.resume job.suspend "
    "card.result job.count job.incident job.close job.get job.list job.record card.check card.transition"
).split()

# The rules of dual control: who may act alone, what takes two, what takes three where there are as many officers.
ALONE = {
    "principal.disable",
    "freeze.set",
    "key.suspend",
    "key.compromise",
    "component.give",
    "ceremony.record",
}
TWO = {
    "principal.enrol",
    "principal.rotate",
    "principal.enable",
    "key.create",
    "key.activate",
    "key.retire",
    "freeze.lift",
    "profile.put",
    "clock.confirm",
}
LARGER = {"quorum.set", "key.destroy", "key.import", "policy.propose"}
LARGER_FOR_OFFICERS = {"principal.enrol", "principal.rotate"}
WAITS = {"quorum.set", "key.destroy"}
WAITS_FOR_OFFICERS = {"principal.enrol", "principal.rotate", "principal.enable"}


class Member:
    """An enrolment as it stands: `fields` is its CBOR map, the rest is the roster's."""

    def __init__(self, fields, leaf):
        self.fields, self.enabled, self.leaf = fields, True, leaf

    @property
    def name(self):
        return self.fields[1]

    @property
    def kind(self):
        return KINDS[self.fields[2]]

    def has(self, role):
        """Whether this is an operator with a capability of this name."""
        return self.fields[2] == OPERATOR and role in self.fields[4]

    @property
    def is_officer(self):
        return self.fields[2] == OFFICER

    @property
    def department(self):
        return self.fields[3]

    @property
    def signing_key(self):
        return self.fields.get(6)

    def keys(self):
        keys = [self.fields[5]]
        keys += [sha256(self.fields[key]) for key in (6, 7) if key in self.fields]
        return keys


class Roster:
    def __init__(self, founding):
        self.members, self.thresholds, self.used = {}, {}, set()
        for officer in founding["officers"]:
            fields = {
                0: 1,
                1: officer["name"],
                2: OFFICER,
                3: officer["department"],
                4: [],
                5: bytes.fromhex(officer["tls-key"]),
                6: base64.b64decode(officer["approval-key"]),
            }
            self._put(fields, 0)
        for principal in founding.get("principals", []):
            fields = {
                0: 1,
                1: principal["id"],
                2: KINDS.index(principal["kind"]),
                3: principal["organisation"],
                4: principal.get("capabilities", []),
                5: bytes.fromhex(principal["tls-key"]),
            }
            if "statement-key" in principal:
                fields[6] = base64.b64decode(principal["statement-key"])
            if "wrapping-key" in principal:
                fields[7] = base64.b64decode(principal["wrapping-key"])
            self._put(fields, 0)

    def _put(self, fields, leaf):
        member = Member(fields, leaf)
        self.used.update(member.keys())
        self.members[member.name] = member

    def officers(self):
        return [self.members[name] for name in sorted(self.members) if self.members[name].is_officer]

    def digest(self):
        """What a proposal names: the officers as they stand, and the thresholds, both in their encoding."""
        officers = [{0: member.fields, 1: member.enabled, 2: member.leaf} for member in self.officers()]
        thresholds = [
            {0: OPERATIONS.index(operation), 1: need} for operation, need in sorted(self.thresholds.items())
        ]
        return sha256(sha256(encode(officers)), sha256(encode(thresholds)))

    def officer_by_kid(self, kid):
        for member in self.officers():
            if sha256(member.signing_key)[:8] == kid:
                return member
        raise Broken("the signer is not an enrolled officer")

    def in_role_by_kid(self, role, kid):
        for name in sorted(self.members):
            member = self.members[name]
            if member.has(role) and member.signing_key and key_identifier(member.signing_key) == kid:
                return member
        raise Broken(f"the signer is no {role}")

    def request(self, name, operation, statement, genesis):
        """The request that an enabled member signed for an operation."""
        member = self.enabled(name)
        if member.signing_key is None:
            raise Broken(f"{name} signs nothing")
        signed = Signed(statement)
        return decode(signed.open("keysvc/rq1", f"keysvc:request:v1:{operation}", genesis, member.signing_key))

    def enabled(self, name):
        member = self.members.get(name)
        if member is None:
            raise Broken(f"{name} is not enrolled")
        if not member.enabled:
            raise Broken(f"{name} is disabled")
        return member

    def about_officer(self, operation, request):
        if operation == "principal.enrol":
            return request[2][2] == OFFICER
        if operation.startswith("principal."):
            return request[2] in self.members and self.members[request[2]].is_officer
        return False

    def least(self, operation, about_officer):
        """The floor of an operation and the threshold set above it, as (people, departments, named)."""
        larger = 3 if len(self.officers()) > 2 else 2
        if operation in LARGER or (about_officer and operation in LARGER_FOR_OFFICERS):
            persons = larger
        elif operation in TWO:
            persons = 2
        else:
            persons = 0
        departments, named = 1, set()
        if operation in self.thresholds:
            need = self.thresholds[operation]
            persons, departments = max(persons, need[1]), max(departments, need[2])
            named |= set(need[3])
        return persons, departments, named

    def change(self, operation, request, leaf):
        """Puts a change of the roster in force; other operations change nothing here."""
        if operation == "principal.enrol":
            fields = request[2]
            if fields[1] in self.members:
                raise Broken(f"the name {fields[1]} was used before")
            if any(key in self.used for key in Member(fields, leaf).keys()):
                raise Broken("a key that is enrolled already")
            self._put(fields, leaf)
        elif operation == "principal.rotate":
            fields = dict(self.enabled(request[2]).fields)
            before = set(Member(fields, leaf).keys())
            for source, target in ((3, 5), (4, 6), (5, 7)):
                if source in request:
                    fields[target] = request[source]
            fresh = set(Member(fields, leaf).keys()) - before
            if not fresh or fresh & self.used:
                raise Broken("no new key, or one that is enrolled already")
            self._put(fields, leaf)
        elif operation in ("principal.disable", "principal.enable"):
            member = self.members[request[2]]
            enabled = operation == "principal.enable"
            left = [officer for officer in self.officers() if officer.enabled and officer is not member]
            if not enabled and member.is_officer and member.enabled and len(left) < 2:
                raise Broken("fewer than two officers would be left")
            if member.enabled != enabled:
                member.enabled, member.leaf = enabled, leaf
        elif operation == "quorum.set":
            name, need = OPERATIONS[request[2]], request[3]
            floor = {0: 1, 1: self.least_floor(name), 2: 1, 3: []}
            self.thresholds.pop(name, None)
            if need != floor:
                self.thresholds[name] = need

    def least_floor(self, operation):
        kept, self.thresholds = self.thresholds, {}
        persons = self.least(operation, False)[0]
        self.thresholds = kept
        return persons
