"""verify_records.py TRUST_FILE FOLDER

A second verifier of what keysvc gives to terminals and stations, written from docs/wire.md and docs/wire.cddl alone. In
the folder, `bundle-file` is the trust bundle with leaf 0, which the trust file proves; everything else stands on that.
The other files are messages to verify, named by kind and what distinguishes them: `update.first`, `bundle.now`,
`delivery.of-three`, `opening.x`, `checkpoint.y`, `bundle-file.altered`. A message with `KIND.NAME.key` beside it is
verified with that key, a SubjectPublicKeyInfo, instead of the one that the kind is signed with. Whether a bundle has
expired is not judged: there is no clock here.

Prints JSON {FILE: {"fields": its fields by number} or {"refused": why}}. Exit codes: 0 all good, 2 usage, 6 refusals.
"""

import json
import sys
from pathlib import Path

import records
from exported_log import Broken, read_trust
from note import Note


def shown(value):
    """As JSON: maps by their numbers, byte strings in hexadecimal."""
    if isinstance(value, bytes):
        return value.hex()
    if hasattr(value, "items"):
        return {str(key): shown(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [shown(item) for item in value]
    return value


def verify(kind, message, key, founded):
    if kind == "update":
        return records.update(message, founded.genesis, key) if key else founded.bundle.update(message)
    if kind == "bundle":
        return records.Bundle(message, founded.domain, founded.genesis, key or founded.statement_key).fields
    if kind == "bundle-file":
        return records.Founded(message, founded.domain, founded.genesis).bundle.fields
    if kind == "delivery":
        return records.delivery(message, founded.genesis, key or founded.statement_key)
    if kind == "opening":
        return records.opening(message, founded.genesis, key or founded.statement_key)
    if kind == "checkpoint":
        note = Note(message)
        note.check(key or founded.checkpoint_key, founded.domain)
        return {0: note.origin, 1: note.size, 2: note.root}
    raise Broken(f"no kind of message: {kind}")


def verify_all(trust, folder):
    founded = records.Founded((folder / "bundle-file").read_bytes(), *read_trust(trust))
    verdicts = {}
    for path in sorted(path for path in folder.iterdir() if path.suffix != ".key"):
        beside = path.with_name(f"{path.name}.key")
        key = beside.read_bytes() if beside.exists() else None
        try:
            found = verify(path.name.split(".")[0], path.read_bytes(), key, founded)
        except Broken as error:
            verdicts[path.name] = {"refused": str(error)}
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            verdicts[path.name] = {"refused": f"not of the form: {error!r}"}
        else:
            verdicts[path.name] = {"fields": shown(found)}
    return verdicts


def main(arguments):
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        verdicts = verify_all(Path(arguments[0]), Path(arguments[1]))
    except Broken as error:
        verdicts = {"bundle-file": {"refused": str(error)}}
    print(json.dumps(verdicts, indent=2))
    return 6 if any("refused" in verdict for verdict in verdicts.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
