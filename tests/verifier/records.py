"""What a terminal or station is given and may check offline: value updates, bundles, openings, deliveries.

Every one of them is verified twice under its signature, by two libraries (see `cose.Signed.open_twice`).
"""

from cose import Signed, key_identifier
from exported_log import Broken, Leaf, decode, leaf_hash
from forms import at_most, boolean, fields, name, one_of, refuse, sized, text, uid, uint
from note import Note

SERVICE_KEY, CHECKPOINT_KEY = 2, 3
ACTIVE, DEACTIVATED = 1, 3
LOAD, DEBIT = 0, 1

DIGEST, TIME = sized(32), uint(64)
UPDATE = (one_of(1), name, uid, uint(8), one_of(LOAD, DEBIT), uint(64, 1), uint(64, 1), uint(16), TIME, TIME) + (
    sized(16),
    sized(16),
    name,
    TIME,
    TIME,
    one_of(0, 1),
)
OPENING = (one_of(1), name, sized(16), name, DIGEST, at_most(1024), sized(5), TIME)
DELIVERED_KEY = (uid, uint(8), uint(32), sized(24), sized(5))
ITEM = (uid, at_most(256))
DELIVERY = (one_of(1), name, sized(16), sized(16), name, uint(32), name, uint(32)) + (
    at_most(8000, fields(*DELIVERED_KEY)),
    at_most(1000, fields(*ITEM)),
)
BUNDLE_KEY = (name, uint(32, 1), sized(8), sized(91), one_of(*range(6)), TIME)
PROGRAMME = (name, name, uint(16), name, name, at_most(8, uint(8)), uint(64), uint(64), uint(64))
CARD_SCOPE, NAMED_SCOPES, ALL_SCOPE = 0, (1, 2, 3, 4, 5, 6, 8), 7


def scope(value):
    if value == ALL_SCOPE and type(value) is int:
        return
    if not hasattr(value, "keys") or len(value) != 1:
        refuse("a scope")
    [(kind, of)] = value.items()
    if kind == CARD_SCOPE:
        fields(uid, optional=(name,))(of)
    elif kind in NAMED_SCOPES:
        fields(name)(of)
    else:
        refuse("a scope")


def scope_order(value):
    """Scopes ascend by kind, then by what they name."""
    if value == ALL_SCOPE:
        return (ALL_SCOPE,)
    [(kind, of)] = value.items()
    return (kind, of[0].ljust(10, b"\0"), len(of[0]), of.get(1, "")) if kind == CARD_SCOPE else (kind, of[0])


BUNDLE = (one_of(1), text(255), DIGEST, boolean, TIME, TIME, sized(91), at_most(2048)) + (
    at_most(64, fields(*BUNDLE_KEY, optional=(TIME,))),
    at_most(512, fields(*PROGRAMME)),
    at_most(1024, scope),
)


def read(message, typ, domain, genesis, spki, *forms):
    payload = decode(Signed(message).open_twice(typ, domain, genesis, spki))
    fields(*forms)(payload)
    return payload


def opening(message, genesis, statement_key):
    return read(message, "keysvc/xo1", "keysvc:exchange-opening:v1", genesis, statement_key, *OPENING)


def delivery(message, genesis, statement_key):
    return read(message, "keysvc/de1", "keysvc:delivery:v1", genesis, statement_key, *DELIVERY)


def update(message, genesis, value_key):
    if Signed(message).typ == "keysvc/vu2":
        found = read(message, "keysvc/vu2", "keysvc:value-update:v2", genesis, value_key, *UPDATE, DIGEST)
    else:
        found = read(message, "keysvc/vu1", "keysvc:value-update:v1", genesis, value_key, *UPDATE)
    amount = found[6] if found[4] == LOAD else -found[6]
    if found[8] + amount != found[9]:
        raise Broken("the amount and the balances do not add up")
    first = found[10] == bytes(16)
    if (found[5] == 1) != first or (first and found[8] != 0):
        raise Broken("sequence number and previous update do not agree")
    return found


class Bundle:
    """A trust bundle that holds, and what it vouches for."""

    def __init__(self, message, domain, genesis, statement_key):
        found = read(message, "keysvc/tb2", "keysvc:trust-bundle:v2", genesis, statement_key, *BUNDLE)
        if found[1] != domain or found[2] != genesis:
            raise Broken("the bundle is of another log")
        if any(key_identifier(key[3]) != key[2] for key in found[8]):
            raise Broken("a key in the bundle has another identifier")
        if list(found[10]) != sorted(found[10], key=scope_order):
            raise Broken("the bundle's scopes do not ascend")
        Note(found[7]).check(found[6], domain)
        self.fields, self.genesis = found, genesis

    def update(self, message):
        """An update as a terminal accepts it, but for the time: the bundle's end is the caller's to compare."""
        kid = Signed(message).kid
        key = next((key for key in self.fields[8] if key[2] == kid), None)
        if key is None:
            raise Broken("the record's key is not in the bundle")
        found = update(message, self.genesis, key[3])
        programme = next((one for one in self.fields[9] if one[0] == found[1]), None)
        if programme is None or programme[3] != key[0]:
            raise Broken("the record's key is not its programme's")
        if key[4] not in (ACTIVE, DEACTIVATED) or not key[5] <= found[13] <= key.get(6, found[13]):
            raise Broken("the record was issued outside the validity of its key")
        if found[7] != programme[2] or found[3] not in programme[5]:
            raise Broken("the record's currency or purse is not the programme's")
        most, ceiling = (programme[7], programme[6]) if found[4] == LOAD else (programme[8], None)
        if found[6] > most or (ceiling is not None and found[9] > ceiling):
            raise Broken("the record is past a limit of its programme")
        if any(self._stops(one, found, programme) for one in self.fields[10]):
            raise Broken("the record is about what is frozen")
        return found

    @staticmethod
    def _stops(frozen, found, programme):
        if frozen == ALL_SCOPE:
            return True
        [(kind, of)] = frozen.items()
        if kind == CARD_SCOPE:
            return of[0] == found[2] and of.get(1, found[1]) == found[1]
        # Terminal, programme, store, profile, key; stations and jobs are nothing to an update.
        touched = {1: found[12], 3: found[1], 4: programme[1], 5: programme[4], 6: programme[3]}
        return touched.get(kind) == of[0]


class Founded:
    """The keys that leaf 0 names, and the bundle that stands on them: all of it proved by the trust file."""

    def __init__(self, bundle_file, domain, genesis):
        found = decode(bundle_file)
        fields(one_of(1), lambda leaf: None, at_most(1 << 17))(found)
        entry, salt, payload = (found[1][number] for number in range(3))
        if leaf_hash(entry) != genesis:
            raise Broken("leaf 0 is not the one of the trust file")
        leaf = Leaf(entry, {0: salt, 1: payload})
        if leaf.index != 0 or leaf.kind != 0:
            raise Broken("leaf 0 founds nothing")
        keys = [[key[10] for key in decode(payload)[3] if key[3] == kind] for kind in (SERVICE_KEY, CHECKPOINT_KEY)]
        if [len(of_kind) for of_kind in keys] != [1, 1]:
            raise Broken("not one checkpoint key and one service key")
        [self.statement_key], [self.checkpoint_key] = keys
        self.domain, self.genesis = domain, genesis
        self.bundle = Bundle(found[2], domain, genesis, self.statement_key)
        if self.bundle.fields[6] != self.checkpoint_key:
            raise Broken("the bundle names another checkpoint key than leaf 0")
