"""Test vectors for makers of readers: `python -m infra.vectors_passes` writes `docs/protocol/vectors/passes.json`.

Keys, times and nonces are fixed and the signatures are deterministic (RFC 6979), so that the same text comes out each
time. Everything is put together here by the letter of docs/protocol/pass.md; tests hold it against the back office, the
reference handset and the reference reader.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from infra.build import ROOT

PATH = ROOT / "docs" / "protocol" / "vectors" / "passes.json"

Claims = dict[int, Any]

NOW: Final = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
AT: Final = int(NOW.timestamp())
HOUR: Final = 3600
READER: Final = bytes.fromhex("00000000000000d1")
OTHER_READER: Final = bytes.fromhex("00000000000000d2")
PASS: Final = bytes.fromhex("a1b2c3d4e5f60718")
BUILDINGS: Final = [hashlib.sha256(f"building {number}".encode()).digest()[:16] for number in range(20)]
NONCE: Final = bytes.fromhex("000102030405060708090a0b0c0d0e0f")
OTHER_NONCE: Final = bytes.fromhex("101112131415161718191a1b1c1d1e1f")
PLACE: Final = {
    "reader": READER.hex(),
    "sector": "7511602",
    "building": BUILDINGS[0].hex(),
    "services": {
        "1": [{"days": "123456", "from": "06:00", "to": "24:00"}],
        "3": [{"days": "1234567", "from": "00:00", "to": "24:00"}],
    },
}
ROOT_A, ROOT_B, ISSUING, NEXT = b"ra", b"rb", b"k1", b"k2"
NAMES: Final = {"root-a": ROOT_A, "root-b": ROOT_B, "issuing": ISSUING, "next-issuing": NEXT, "reader": READER}
"""What the keys are called in signed objects. `holder` and `thief` are named by nobody."""
KEYS: Final = {
    name: ec.derive_private_key(
        int.from_bytes(hashlib.sha256(f"facteo pass {name}".encode()).digest(), "big"), ec.SECP256R1()
    )
    for name in (*NAMES, "holder", "thief")
}
LISTED: Final = {100: 1, 101: 2, 102: 3, 169_999: 2}
"""Index → status in the list that the reader knows."""
SLOTS: Final = 170_000
BASE45: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"

_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def sign(name: str, message: bytes, *, high: bool = False) -> bytes:
    """The signature of a message with the key of that name: r and the lower s; the higher, where a vector wants it."""
    der = KEYS[name].sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    r, s = decode_dss_signature(der)
    return r.to_bytes(32, "big") + (max if high else min)(s, _ORDER - s).to_bytes(32, "big")


def sign1(
    name: str, claims: Any, *, by: str = "", header: Mapping[int, Any] | None = None, high: bool = False
) -> bytes:
    """Claims in a COSE_Sign1 of the key of that name; `by` really signs it, `header` is added to the protected one."""
    protected = _cbor({1: -9, 4: NAMES[name], **(header or {})})
    payload = _cbor(claims)
    signature = sign(by or name, _cbor(["Signature1", protected, b"", payload]), high=high)
    return b"\xd2" + _cbor([protected, {}, payload, signature])


def cose_key(name: str) -> dict[int, Any]:
    """A public key with a compressed point."""
    numbers = KEYS[name].public_key().public_numbers()
    return {1: 2, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: bool(numbers.y & 1)}


def claims(changes: Mapping[int, Any] | None = None) -> Claims:
    """Those of a pass of eight hours for the sector's mail, of which one is gone."""
    told = {
        1: "lp",
        2: "C10011",
        4: AT + 7 * HOUR,
        5: AT - HOUR,
        7: PASS,
        8: {1: cose_key("holder")},
        -65537: [1, "7511602"],
        -65538: [0, 48_211],
    }
    return {**told, **(changes or {})}


def marks(buildings: Sequence[bytes], token_id: bytes = PASS) -> bytes:
    """What a pass names buildings by."""
    return b"".join(sorted(hashlib.sha256(b"FBLDG1" + token_id + one).digest()[:3] for one in buildings))


def answer(
    token: bytes, *, nonce: bytes = NONCE, reader: bytes = READER, by: str = "holder", high: bool = False
) -> bytes:
    """What a handset answers to a challenge."""
    return token + sign(by, b"FPASS1" + nonce + reader + hashlib.sha256(token).digest(), high=high)


def code(token: bytes, *, at: int = AT, reader: bytes = bytes(8), by: str = "holder") -> str:
    """What a QR code says."""
    challenge = (at // 30).to_bytes(4, "big") + reader
    content = token + challenge + sign(by, b"FPASSQ1" + challenge + hashlib.sha256(token).digest())
    return "FP1:" + "".join(_base45(content[place : place + 2]) for place in range(0, len(content), 2))


def key_set(sequence: int = 1, *, name: str = "root-a", by: str = "", changes: Claims | None = None) -> bytes:
    """A set of two issuing keys, one for this week and one for the next."""
    week = 7 * 24 * HOUR
    begins = AT - 24 * HOUR
    keys = [
        cose_key("issuing") | {2: ISSUING, 3: -9, -65539: [begins, begins + week]},
        cose_key("next-issuing") | {2: NEXT, 3: -9, -65539: [begins + week, begins + 2 * week]},
    ]
    told = {1: "lp", 4: AT + week, 6: AT - 2 * HOUR, -65540: sequence, -65541: keys}
    return sign1(name, {**told, **(changes or {})}, by=by)


def status_list(
    listed: Mapping[int, int], *, at: int = AT - 2 * HOUR, name: str = "issuing", by: str = "", slots: int = SLOTS,
    number: int = 0, header: Mapping[int, Any] | None = None, changes: Claims | None = None,
) -> bytes:  # fmt: skip
    """A status list, two bits for each index."""
    content = bytearray(slots // 4)
    for index, status in listed.items():
        content[index // 4] |= status << 2 * (index % 4)
    told = {
        2: f"https://api.facteo.test/v1/status-lists/{number}",
        4: at + 24 * HOUR,
        6: at,
        65534: 60,
        65533: {"bits": 2, "lst": zlib.compress(bytes(content), 9)},
    }
    typed = {16: "application/statuslist+cwt"} if header is None else header
    return sign1(name, {**told, **(changes or {})}, by=by, header=typed)


def signed_time(at: int, *, name: str = "issuing", by: str = "") -> bytes:
    """A moment that an issuing key vouches for."""
    return sign1(name, {1: "lp", 6: at}, by=by)


def text() -> str:
    """What the file must hold."""
    told = {
        "about": "Test vectors for docs/protocol/pass.md. 'python -m infra.vectors_passes' writes them. Bytes are hex.",
        "now": _time(AT),
        "keys": [_key(name) for name in KEYS],
        "place": PLACE,
        "roots": [_cbor(cose_key(name) | {2: NAMES[name]}).hex() for name in ("root-a", "root-b")],
        "key_set": key_set().hex(),
        "status_list": status_list(LISTED).hex(),
        "listed": {str(index): status for index, status in LISTED.items()},
        "marks": [{"pass": PASS.hex(), "building": one.hex(), "mark": marks([one]).hex()} for one in BUILDINGS[:3]],
        "tokens": _tokens(),
        "malformed": _malformed(),
        "exchanges": _exchanges(),
        "codes": _codes(),
        "news": _news(),
        "receipts": receipts(),
    }
    return json.dumps(told, indent=1, ensure_ascii=False) + "\n"


def _tokens() -> list[dict[str, Any]]:
    """Good tokens, in all their sizes."""
    told = {
        "a sector": claims(),
        "the longest with a sector: 192 bytes, an answer of 256": claims(
            {2: "12345678", -65537: [1, "2A004ABCDEF"], -65538: [0, SLOTS - 1]}
        ),
        "one building": claims({-65537: [1, marks(BUILDINGS[:1])]}),
        "twenty buildings": claims({-65537: [1, marks(BUILDINGS)]}),
        "help, for the last door": claims({-65537: [3, marks(BUILDINGS[:1])]}),
    }
    return [{"name": name, "token": sign1("issuing", each).hex(), "claims": _told(each)} for name, each in told.items()]


def _malformed() -> list[dict[str, Any]]:
    """Tokens that are none, all of them signed well, where there is something to sign."""
    good = sign1("issuing", claims())
    protected, _, payload, signature = cbor2.loads(good).value
    key = cose_key("holder")
    changed: dict[str, Claims] = {
        "another issuer": {1: "lq"},
        "the carrier as bytes": {2: b"C10011"},
        "a carrier with a line feed": {2: "C10011\n"},
        "true for a number": {4: True},
        "it ends when it begins": {4: AT - HOUR},
        "a pass id of seven bytes": {7: PASS[:7]},
        "a point that is not on the curve": {8: {1: key | {-2: bytes(31) + b"\x01"}}},
        "an x beyond the field": {8: {1: key | {-2: b"\xff" * 32}}},
        "a key with y": {8: {1: key | {-3: bytes(32)}}},
        "a private key": {8: {1: key | {-4: bytes(32)}}},
        "another curve": {8: {1: key | {-1: 2}}},
        "a sector in lower case": {-65537: [1, "75116ab"]},
        "marks of two and a half buildings": {-65537: [1, bytes(range(8))]},
        "marks out of order": {-65537: [1, b"\x02\x00\x00\x01\x00\x00"]},
        "a mark twice": {-65537: [1, b"\x01\x00\x00\x01\x00\x00"]},
        "twenty-one marks": {-65537: [1, bytes(range(63))]},
        "a mask of hours": {-65537: [1, "7511602", 127]},
        "a negative index": {-65538: [0, -1]},
        "an audience": {3: "door"},
    }
    told = {
        **{name: sign1("issuing", claims(change)) for name, change in changed.items()},
        "no status": sign1("issuing", dict(list(claims().items())[:-1])),
        "a content type": sign1("issuing", claims(), header={16: "application/cwt"}),
        "a name of three bytes": b"\xd2" + _cbor([_cbor({1: -9, 4: b"k1x"}), {}, payload, signature]),
        "no tag": good[1:],
        "tag 61 around it": b"\xd8\x3d" + good,
        "tag 18 in two bytes": b"\xd8\x12" + good[1:],
        "something in the unprotected header": b"\xd2" + _cbor([protected, {4: ISSUING}, payload, signature]),
        "a signature of 63 bytes": b"\xd2" + _cbor([protected, {}, payload, signature[:-1]]),
        "a byte behind it": good + b"\x00",
        "a byte less": good[:-1],
        "an array of unknown length": b"\xd2\x9f" + good[2:] + b"\xff",
        "a length in more bytes than it needs": good.replace(b"\x58\x40", b"\x59\x00\x40"),
        "claims out of order": b"\xd2"
        + _cbor([protected, {}, cbor2.dumps(dict(reversed(claims().items()))), signature]),
        "a claim twice": b"\xd2" + _cbor([protected, {}, b"\xa9\x01\x62lp" + payload[1:], signature]),
        "nested two hundred times": b"\xd2\x84" + b"\x81" * 200,
        "an array that says it has four thousand million entries": b"\xd2\x9a\xff\xff\xff\xff",
        "nothing": b"",
    }
    return [{"name": name, "token": token.hex()} for name, token in told.items()]


def _exchanges() -> list[dict[str, Any]]:
    """Answers to challenges, at a reader that has just learnt `key_set` and `status_list`."""
    good = sign1("issuing", claims())
    help_ = sign1("issuing", claims({-65537: [3, marks(BUILDINGS[:1])]}))
    flipped = bytearray(answer(good))
    flipped[len(good) - 1] ^= 1
    proof_flipped = bytearray(answer(good))
    proof_flipped[-1] ^= 1
    night, sunday = AT + 16 * HOUR, AT + 6 * 24 * HOUR - HOUR
    changed: list[tuple[str, str | None, Claims]] = [
        ("a sector pass", None, {}),
        ("a pass of twenty buildings", None, {-65537: [1, marks(BUILDINGS)]}),
        ("two minutes before it begins", None, {5: AT + 120}),
        ("a second earlier", "not-yet", {5: AT + 121}),
        ("two minutes after its end", None, {4: AT - 120, 5: AT - 5 * HOUR}),
        ("a second later", "expired", {4: AT - 121, 5: AT - 5 * HOUR}),
        ("twelve hours", None, {4: AT + 12 * HOUR, 5: AT}),
        ("twelve hours and a second", "too-long", {4: AT + 12 * HOUR + 1, 5: AT}),
        ("it begins before its key may sign", "unknown-key", {5: AT - 25 * HOUR, 4: AT - 20 * HOUR}),
        ("a service that the manager does not admit", "other-service", {-65537: [2, "7511602"]}),
        ("another sector", "out-of-perimeter", {-65537: [1, "7511603"]}),
        ("other buildings", "out-of-perimeter", {-65537: [1, marks(BUILDINGS[1:])]}),
        ("marks of another pass", "out-of-perimeter", {-65537: [1, marks(BUILDINGS[:1], bytes(8))]}),
        ("a list that the reader does not have", "no-list", {-65538: [1, 7]}),
        ("the last index of the list, suspended", "suspended", {-65538: [0, SLOTS - 1]}),
        ("an index behind the list", "index-out-of-range", {-65538: [0, SLOTS]}),
        ("revoked", "revoked", {-65538: [0, 100]}),
        ("suspended", "suspended", {-65538: [0, 101]}),
        ("a status that has no meaning", "revoked", {-65538: [0, 102]}),
        ("bound to another key", "copied", {8: {1: cose_key("thief")}}),
    ]
    return [
        *(_exchange(name, _step(answer(sign1("issuing", claims(each))), result)) for name, result, each in changed),
        _exchange("a key that nobody published", _step(answer(_unpublished()), "unknown-key")),
        _exchange("a key of next week", _step(answer(sign1("next-issuing", claims())), "unknown-key")),
        _exchange("the algorithm -7 of the same key", _step(answer(_of_older_number()), "unknown-key")),
        _exchange("signed by another key", _step(answer(sign1("issuing", claims(), by="thief")), "bad-signature")),
        _exchange(
            "the higher s of the issuer's signature",
            _step(answer(sign1("issuing", claims(), high=True)), "bad-signature"),
        ),
        _exchange("one bit of the issuer's signature flipped", _step(bytes(flipped), "bad-signature")),
        _exchange("one bit of the holder's signature flipped", _step(bytes(proof_flipped), "copied")),
        _exchange("the higher s of the holder's signature", _step(answer(good, high=True), "copied")),
        _exchange("a copied token, answered by a thief", _step(answer(good, by="thief"), "copied")),
        _exchange("an answer to another reader", _step(answer(good, reader=OTHER_READER), "copied")),
        _exchange("an answer after 500 ms", {**_step(answer(good), None), "seconds": 0.5}),
        _exchange("an answer after 501 ms", {**_step(answer(good), "too-slow"), "seconds": 0.501}),
        _exchange("too short", _step(bytes(64), "malformed")),
        _exchange("a megabyte", {**_step(b"", "malformed"), "zeros": 1_000_000}),
        _exchange("an answer sent again to no challenge", _step(answer(good), None),
                  {**_step(answer(good), "replayed"), "nonce": None}),
        _exchange("an answer sent again to another challenge", _step(answer(good), None),
                  {**_step(answer(good), "replayed"), "nonce": OTHER_NONCE.hex()}),
        _exchange("help comes once", _step(answer(help_), None),
                  {**_step(answer(help_, nonce=OTHER_NONCE), "already-used"), "nonce": OTHER_NONCE.hex()}),
        _exchange("by night", {**_step(answer(_lasting(night)), "outside-hours"), "at": _time(night)}),
        _exchange("on a Sunday", {**_step(answer(_lasting(sunday)), "outside-hours"), "at": _time(sunday)}),
    ]  # fmt: skip


def _codes() -> list[dict[str, Any]]:
    """What a camera sees, at a reader as above; each code at a reader of its own, several are shown one by one."""
    good = sign1("issuing", claims())
    told: list[tuple[str, str, int, str | None]] = [
        ("for any reader", code(good), AT, None),
        ("for this reader", code(good, reader=READER), AT, None),
        ("for another reader", code(good, reader=OTHER_READER), AT, "copied"),
        ("at the end of its half minute", code(good), AT + 34, None),
        ("behind it", code(good), AT + 35, "stale-code"),
        ("before it", code(good), AT - 6, "stale-code"),
        ("made by a thief", code(good, by="thief"), AT, "copied"),
        ("suspended", code(sign1("issuing", claims({-65538: [0, 101]}))), AT, "suspended"),
        ("another prefix", code(good).replace("FP1:", "FP2:"), AT, "malformed"),
        ("a letter that base45 does not have", code(good)[:-1] + "a", AT, "malformed"),
        ("a group above 65535", "FP1::::" + code(good)[7:], AT, "malformed"),
        ("nothing", "", AT, "malformed"),
    ]
    return [{"name": name, "at": _time(at), "code": each, "result": result} for name, each, at, result in told]


def _news() -> list[dict[str, Any]]:
    """What handsets bring, each to a reader that knows `key_set` and `status_list`, and what becomes of it."""
    roots = [cose_key("root-b") | {2: ROOT_B}, cose_key("thief") | {2: b"rc"}]
    bomb = {65533: {"bits": 2, "lst": zlib.compress(bytes(100_000), 9)}}
    told: list[tuple[str, str, bytes, str]] = [
        ("a newer list", "status-list", status_list({48_211: 2}, at=AT), "taken"),
        ("the same list", "status-list", status_list(LISTED), "not-newer"),
        ("an older list", "status-list", status_list({}, at=AT - 3 * HOUR), "not-newer"),
        ("a second list", "status-list", status_list({}, number=1, at=AT), "taken"),
        ("a shorter list", "status-list", status_list({}, slots=400, at=AT), "taken"),
        ("a list dated behind its key's window", "status-list", status_list({}, at=AT + 145 * HOUR), "unknown-key"),
        ("a list by another key", "status-list", status_list({}, at=AT, by="thief"), "bad-signature"),
        ("a list by a root", "status-list", status_list({}, at=AT, name="root-a"), "unknown-key"),
        ("a list without its type", "status-list", status_list({}, at=AT, header={}), "malformed"),
        ("a list of one bit", "status-list", status_list({}, at=AT, changes=_one_bit()), "malformed"),
        ("a list that unpacks to 100,000 bytes", "status-list", status_list({}, at=AT, changes=bomb), "malformed"),
        ("a list without a number", "status-list", status_list({}, at=AT, changes={2: "list"}), "malformed"),
        ("a time", "time", signed_time(AT), "taken"),
        ("an earlier time", "time", signed_time(AT - 3 * HOUR), "not-newer"),
        ("a time by another key", "time", signed_time(AT, by="thief"), "bad-signature"),
        ("a time behind its key's window", "time", signed_time(AT + 145 * HOUR), "unknown-key"),
        ("a token for a time", "time", sign1("issuing", claims()), "malformed"),
        ("a newer key set", "key-set", key_set(2), "taken"),
        ("by the other root", "key-set", key_set(2, name="root-b"), "taken"),
        ("with new roots", "key-set", key_set(2, changes={-65542: roots}), "taken"),
        ("with one new root", "key-set", key_set(2, changes={-65542: roots[:1]}), "malformed"),
        ("the same sequence again", "key-set", key_set(1, changes={6: AT}), "not-newer"),
        ("by an issuing key", "key-set", key_set(2, name="issuing"), "unknown-key"),
        ("by another key", "key-set", key_set(2, by="thief"), "bad-signature"),
        ("without a key", "key-set", key_set(2, changes={-65541: []}), "malformed"),
    ]
    return [_piece(*each) for each in told] + _news_of_a_dropped_key()


def _news_of_a_dropped_key() -> list[dict[str, Any]]:
    """Lists for a reader whose own is by a key that the newer set does not have."""
    week = [AT - 24 * HOUR, AT + 144 * HOUR]
    dropped = key_set(2, changes={-65541: [cose_key("next-issuing") | {2: NEXT, 3: -9, -65539: week}]})
    early, late, other = status_list({}, at=AT - 3 * HOUR, name="next-issuing"), AT + HOUR, AT - 4 * HOUR
    told: list[tuple[str, bytes, str]] = [
        ("an older list, in place of one by a key that was dropped", early, "taken"),
        ("a newer list by the key that was dropped", status_list({}, at=late), "unknown-key"),
        ("an older list by another key, in its place", status_list({}, at=other, by="thief", name="next-issuing"),
         "bad-signature"),
    ]  # fmt: skip
    before = [{"kind": "key-set", "data": dropped.hex()}]
    found = [{**_piece(name, "status-list", data, outcome), "before": before} for name, data, outcome in told]
    older = _piece("a list older than that", "status-list", status_list({}, at=other, name="next-issuing"), "not-newer")
    return [*found, {**older, "before": [*before, {"kind": "status-list", "data": early.hex()}]}]


def _piece(name: str, kind: str, data: bytes, outcome: str) -> dict[str, Any]:
    return {"name": name, "kind": kind, "data": data.hex(), "outcome": outcome}


def receipts() -> list[dict[str, Any]]:
    """A log of three entries, each the receipt of one use of the door."""
    previous, told = bytes(32), []
    uses = [(PASS, NONCE, "opened"), (PASS, OTHER_NONCE, "suspended"), (b"", NONCE[::-1], "malformed")]
    for place, (token_id, nonce, result) in enumerate(uses):
        hashed = hashlib.sha256(nonce + READER).digest()
        entry = {6: AT + place, 7: token_id, -65543: hashed, -65544: result, -65545: previous}
        receipt = sign1("reader", entry)
        told.append({"receipt": receipt.hex(), "claims": _told(entry)})
        previous = hashlib.sha256(receipt).digest()
    return told


def _lasting(at: int) -> bytes:
    """A token that is valid then."""
    return sign1("issuing", claims({5: at - HOUR, 4: at + HOUR}))


def _unpublished() -> bytes:
    protected, payload = _cbor({1: -9, 4: b"k9"}), _cbor(claims())
    return b"\xd2" + _cbor([protected, {}, payload, sign("issuing", _cbor(["Signature1", protected, b"", payload]))])


def _of_older_number() -> bytes:
    return sign1("issuing", claims(), header={1: -7})


def _one_bit() -> Claims:
    return {65533: {"bits": 1, "lst": zlib.compress(bytes(SLOTS // 8), 9)}}


def _exchange(name: str, *steps: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "steps": list(steps)}


def _step(response: bytes, result: str | None) -> dict[str, Any]:
    return {"at": _time(AT), "nonce": NONCE.hex(), "response": response.hex(), "seconds": 0.1, "result": result}


def _key(name: str) -> dict[str, Any]:
    private = KEYS[name].private_numbers()
    numbers = [private.private_value, private.public_numbers.x, private.public_numbers.y]
    d, x, y = (base64.urlsafe_b64encode(n.to_bytes(32, "big")).rstrip(b"=").decode() for n in numbers)
    kid = NAMES[name].hex() if name in NAMES else None
    return {"name": name, "kid": kid, "public": {"crv": "P-256", "kty": "EC", "x": x, "y": y}, "d": d}


def _told(value: Any) -> Any:
    """Claims as JSON: labels as text, bytes in hex."""
    if isinstance(value, dict):
        return {str(label): _told(each) for label, each in value.items()}
    if isinstance(value, list):
        return [_told(each) for each in value]
    return value.hex() if isinstance(value, bytes) else value


def _time(at: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=at)).isoformat().replace("+00:00", "Z")


def _cbor(value: Any) -> bytes:
    return cbor2.dumps(value, canonical=True)


def _base45(pair: bytes) -> str:
    value = int.from_bytes(pair, "big")
    return "".join(BASE45[value // 45**place % 45] for place in range(len(pair) + 1))


if __name__ == "__main__":
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(text())
