"""The forms of fields, as docs/wire.cddl has them: each is a function that refuses what is not of its form."""

import re

from exported_log import Broken

NAME = re.compile("[a-z0-9][a-z0-9._-]{0,63}")


def refuse(what):
    raise Broken(f"a field is not {what}")


def uint(bits, least=0):
    def check(value):
        # A boolean is an integer to Python, and is none on the wire.
        if type(value) is not int or not least <= value < 1 << bits:
            refuse(f"an unsigned integer of {bits} bits from {least}")

    return check


def one_of(*values):
    def check(value):
        if type(value) is not int or value not in values:
            refuse(f"one of {list(values)}")

    return check


def boolean(value):
    if type(value) is not bool:
        refuse("true or false")


def name(value):
    if type(value) is not str or not NAME.fullmatch(value):
        refuse("a name")


def text(longest):
    def check(value):
        if type(value) is not str or not 1 <= len(value.encode()) <= longest:
            refuse(f"a text of 1 to {longest} bytes")

    return check


def sized(*lengths):
    def check(value):
        if type(value) is not bytes or len(value) not in lengths:
            refuse(f"a byte string of {list(lengths)}")

    return check


def uid(value):
    sized(4, 7, 10)(value)


def at_most(longest, check=None):
    """A list of so many items of one form, or without one a byte string."""

    def check_all(value):
        kind = (list, tuple) if check else bytes
        if not isinstance(value, kind) or len(value) > longest:
            refuse(f"{longest} at most")
        for item in value if check else ():
            check(item)

    return check_all


def fields(*checks, optional=()):
    """A map with these fields from 0 on, and after them those that may be left out."""

    def check(value):
        keys = list(value) if hasattr(value, "keys") else None
        forms = [*checks, *optional]
        if keys is None or any(type(key) is not int or not 0 <= key < len(forms) for key in keys):
            refuse("a map of the known fields")
        if any(number not in value for number in range(len(checks))):
            refuse("whole: one is missing")
        for number, item in value.items():
            forms[number](item)

    return check
