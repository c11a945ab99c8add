"""An exported log on disk: the checkpoint, the leaves and their tree, as docs/wire.md lays them out.

Reads and hashes; what a leaf means is not judged here. Nothing is shared with the programs it checks.
"""

import base64
import hashlib
from pathlib import Path

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

FILE_ITEMS = 256


class Broken(Exception):
    """Something is not as it must be; the text says what."""


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def one_spelling(text):
    """Standard base64 in the one spelling that its bytes have."""
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode() != text:
        raise Broken("base64 in another spelling than its own")
    return data


def decode(data):
    """One deterministic CBOR item: what does not encode to the same bytes again is refused."""
    try:
        value = cbor2.loads(data)
        again = cbor2.dumps(value, canonical=True)
    except Exception as error:
        raise Broken(f"not CBOR: {error}") from error
    if again != data:
        raise Broken("not in core deterministic encoding")
    return value


def encode(value):
    return cbor2.dumps(value, canonical=True)


def read_trust(path):
    """The trust domain and the genesis digest."""
    lines = Path(path).read_text(encoding="ascii").splitlines()
    if len(lines) != 2 or not lines[0].startswith("trust-domain ") or not lines[1].startswith("genesis "):
        raise Broken("not a trust file")
    return lines[0].split(" ", 1)[1], bytes.fromhex(lines[1].split(" ", 1)[1])


def leaf_hash(entry):
    return sha256(b"\x00", entry)


def tree_root(hashes):
    """RFC 6962 section 2.1, from the bottom up: complete subtrees on a stack."""
    stack = []
    for count, node in enumerate(hashes, start=1):
        while count % 2 == 0:
            node = sha256(b"\x01", stack.pop(), node)
            count //= 2
        stack.append(node)
    if not stack:
        return sha256()
    root = stack.pop()
    while stack:
        root = sha256(b"\x01", stack.pop(), root)
    return root


class Leaf:
    """A leaf: its entry's fields, and the payload where it is there."""

    def __init__(self, entry, beside):
        self.entry = entry
        fields = decode(entry)
        self.index, self.time_ms, self.kind, self.payload_digest = (fields[key] for key in (1, 2, 3, 4))
        self.payload = None
        if 1 in beside:
            salt, payload = beside.get(0, b""), beside[1]
            if len(salt) != 16 or sha256(salt, payload) != self.payload_digest:
                raise Broken("the payload is not this leaf's")
            self.payload = payload


class ExportedLog:
    """The folder that `fobctl audit export` writes."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.note = (self.folder / "checkpoint").read_bytes()
        text, _, _ = self.note.partition(b"\n\n")
        lines = text.decode().split("\n")
        if len(lines) != 3:
            raise Broken("the checkpoint is not one")
        self.origin, self.size, self.root = lines[0], int(lines[1]), one_spelling(lines[2])
        self.entries, self.beside = [], []
        for number in range(0, self.size, FILE_ITEMS):
            self._read(number // FILE_ITEMS, min(FILE_ITEMS, self.size - number))

    def _read(self, number, width):
        name = self._name(number, width)
        bundle = (self.folder / "tile" / "entries" / name).read_bytes()
        at = 0
        for _ in range(width):
            length = int.from_bytes(bundle[at : at + 2], "big")
            entry = bundle[at + 2 : at + 2 + length]
            if len(entry) != length or length == 0:
                raise Broken(f"tile/entries/{name} is cut short")
            self.entries.append(entry)
            at += 2 + length
        if at != len(bundle):
            raise Broken(f"tile/entries/{name} has bytes behind its last entry")
        beside = decode((self.folder / "payload" / name).read_bytes())[1]
        if len(beside) != width:
            raise Broken(f"payload/{name} has another number of leaves")
        self.beside.extend(beside)
        # The lowest hash tile holds the hashes of the same leaves.
        tile = (self.folder / "tile" / "0" / name).read_bytes()
        if tile != b"".join(leaf_hash(entry) for entry in self.entries[-width:]):
            raise Broken(f"tile/0/{name} is not the tile of its leaves")

    @staticmethod
    def _name(number, width):
        groups = [f"{number % 1000:03}"]
        number //= 1000
        while number:
            groups.insert(0, f"x{number % 1000:03}")
            number //= 1000
        name = "/".join(groups)
        return name if width == FILE_ITEMS else f"{name}.p/{width}"

    def check_root(self):
        self._check_root(self.entries, self.root)

    @staticmethod
    def _check_root(entries, root):
        if tree_root(leaf_hash(entry) for entry in entries) != root:
            raise Broken("the leaves do not hash to the checkpoint's root")

    def check_earlier(self, note, spki, domain):
        """An earlier checkpoint of the same log, and its number of leaves."""
        self.check_note(spki, domain, note)
        lines = note.partition(b"\n\n")[0].decode().split("\n")
        size, root = int(lines[1]), one_spelling(lines[2])
        if len(lines) != 3 or size > len(self.entries):
            raise Broken("the checkpoint is ahead of the log")
        self._check_root(self.entries[:size], root)
        return size

    def check_note(self, spki, domain, note=None):
        """A signature line of the key in leaf 0 over the text of a note, the log's own where no other is given."""
        text, _, signatures = (note or self.note).partition(b"\n\n")
        if self.origin != f"{domain}/keysvc/1" or not text.startswith(self.origin.encode() + b"\n"):
            raise Broken("the checkpoint is of another log")
        text += b"\n"
        key_hash = sha256(spki)[:4]
        for line in signatures.decode().splitlines():
            dash, name, encoded = line.split(" ")
            raw = one_spelling(encoded)
            if dash != "\N{EM DASH}" or name != self.origin or raw[:4] != key_hash:
                continue
            load_der_public_key(spki).verify(raw[4:], text, ec.ECDSA(SHA256()))
            return
        raise Broken("the checkpoint is not signed with the key of leaf 0")
