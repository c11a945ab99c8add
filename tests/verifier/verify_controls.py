"""verify_controls.py EXPORT_DIR TRUST_FILE [RECORD_FILE]

A second verifier of what takes people in a log of keysvc, written from docs/wire.md and docs/wire.cddl alone. It reads
the exported log, verifies leaf 0 and the tree, and judges every act that took people, the policies in force, the keys
that come in as components, and every personalization job with its cards; with a job's audit record, whether the log says
the same. It does not follow the states of keys, freezes and purses: that is fobaudit's.

Prints JSON {acts, approvals, findings, withheld, jobs, cards, record}. Exit codes: 0 good, 2 usage, 6 findings.
"""

import json
import sys
import tomllib
from pathlib import Path

from cryptography.exceptions import InvalidSignature

from controls import Controls
from cose import Signed
from exported_log import Broken, ExportedLog, Leaf, decode, encode, leaf_hash, read_trust, sha256
from jobs import Jobs
from record import Record
from roster import Roster

SERVICE_KEY, CHECKPOINT_KEY = 2, 3
DELAYS = {"roster-s": 86_400, "destroy-s": 604_800}


def founded(log, domain, genesis):
    """The state that leaf 0 makes, once its hash, every officer's signature and the checkpoint hold."""
    if not log.entries or leaf_hash(log.entries[0]) != genesis:
        raise Broken("leaf 0 is not the one of the trust file")
    leaf = Leaf(log.entries[0], log.beside[0])
    if leaf.payload is None or leaf.kind != 0 or leaf.index != 0:
        raise Broken("leaf 0 founds nothing")
    payload = decode(leaf.payload)
    file, signatures, keys, policy = (payload[key] for key in (1, 2, 3, 4))
    founding = tomllib.loads(file.decode())
    if founding["trust-domain"] != domain:
        raise Broken("the founding is of another trust domain")
    roster = Roster(founding)
    signed = {signature[1]: signature[2] for signature in signatures}
    if len(signed) != len(signatures) or set(signed) != {officer.name for officer in roster.officers()}:
        raise Broken("not exactly the officers signed the founding")
    for officer in roster.officers():
        said = Signed(signed[officer.name]).open(
            "keysvc/fo1", "keysvc:founding:v1", domain.encode(), officer.signing_key
        )
        if said != encode({0: 1, 1: sha256(file), 2: officer.name}):
            raise Broken(f"{officer.name} signed another founding")
    own = [[key[10] for key in keys if key[3] == kind] for kind in (SERVICE_KEY, CHECKPOINT_KEY)]
    if [len(of_kind) for of_kind in own] != [1, 1]:
        raise Broken("not one checkpoint key and one service key")
    [service_key], [checkpoint_key] = own
    log.check_note(checkpoint_key, domain)
    jobs = Jobs(roster, genesis, founding)
    return Controls(roster, genesis, policy, DELAYS | founding.get("delays", {}), keys, jobs), service_key, checkpoint_key


def verify(folder, trust, record_file=None):
    domain, genesis = read_trust(trust)
    log = ExportedLog(folder)
    log.check_root()
    controls, service_key, checkpoint_key = founded(log, domain, genesis)
    record = None
    if record_file is not None:
        record = Record(Path(record_file).read_bytes(), genesis, service_key)
        record.size = log.check_earlier(record.note, checkpoint_key, domain)
    last_ms = 0
    for index, (entry, beside) in enumerate(zip(log.entries, log.beside)):
        try:
            leaf = Leaf(entry, beside)
        except Broken as error:
            controls.findings.append((index, str(error)))
            continue
        if leaf.index != index or leaf.time_ms < last_ms:
            controls.findings.append((index, "out of order, or older than the leaf before"))
        last_ms = leaf.time_ms
        if record and index == record.size:
            record.look(controls.jobs)
        if index > 0:
            controls.take(leaf)
    if record and record.size == len(log.entries):
        record.look(controls.jobs)
    return controls, record.holds(controls.jobs, last_ms) if record else None


def main(arguments):
    if len(arguments) not in (2, 3):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        controls, record = verify(*arguments)
    except (Broken, InvalidSignature, OSError, KeyError, IndexError, TypeError, ValueError) as error:
        report = {"acts": [], "approvals": 0, "findings": [{"leaf": None, "text": str(error) or repr(error)}]}
        report |= {"withheld": [], "jobs": [], "cards": {}, "record": None}
    else:
        report = {
            "acts": controls.acts,
            "approvals": controls.approvals,
            "findings": [{"leaf": leaf, "text": text} for leaf, text in controls.findings],
            "withheld": controls.withheld,
            "jobs": controls.jobs.figures(),
            "cards": controls.jobs.cards.by_state(),
            "record": record,
        }
    print(json.dumps(report, indent=2))
    return 6 if report["findings"] or report["record"] is False else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
