"""Checks a log by what Proofs.md says, with nothing of the ledger's own code.

Usage: check_log.py VKEY EXPORT OLD_CHECKPOINT NEW_CHECKPOINT CONSISTENCY_JSON PROOF…
Prints one line for each thing that holds, and exits 1 at the first that does not.
"""

import base64
import hashlib
import json
import re
import subprocess
import sys
import tempfile


def sha256(data):
    return hashlib.sha256(data).digest()


def leaf(line):
    return sha256(b"\x00" + line)


def node(left, right):
    return sha256(b"\x01" + left + right)


def root(leaves):
    if not leaves:
        return sha256(b"")
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return node(root(leaves[:k]), root(leaves[k:]))


def unbase64(text):
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode() != text:
        raise ValueError("not the one form of base64")
    return data


class Key:
    def __init__(self, text):
        self.name, key_id, encoded = text.strip().split("+", 2)
        decoded = unbase64(encoded)
        if len(decoded) != 33 or decoded[0] != 1:
            raise ValueError("not an Ed25519 key")
        self.public = decoded[1:]
        self.id = sha256(self.name.encode() + b"\n\x01" + self.public)[:4]
        if self.id.hex() != key_id:
            raise ValueError("the key ID does not fit the key")

    def verify(self, signature, text):
        # The public key in the form that openssl reads (RFC 8410).
        der = bytes.fromhex("302a300506032b6570032100") + self.public
        with tempfile.TemporaryDirectory() as folder:
            for name, data in (("key", der), ("text", text), ("signature", signature)):
                with open(f"{folder}/{name}", "wb") as file:
                    file.write(data)
            subprocess.run(
                ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-rawin",
                 "-inkey", f"{folder}/key", "-in", f"{folder}/text",
                 "-sigfile", f"{folder}/signature"],
                check=True, stdout=subprocess.DEVNULL)


class Checkpoint:
    def __init__(self, note, key):
        end = note.rindex(b"\n\n")
        text = note[:end + 1]
        lines = text.decode().split("\n")[:-1]
        if not re.fullmatch("0|[1-9][0-9]*", lines[1]) or "" in lines or lines[0] != key.name:
            raise ValueError("not a checkpoint of this log")
        self.size, self.root = int(lines[1]), unbase64(lines[2])
        signed = 0
        for line in note[end + 2:].decode().split("\n")[:-1]:
            dash, name, encoded = line.split(" ")
            signature = unbase64(encoded)
            if dash != "\u2014":
                raise ValueError("not a signature line")
            if name == key.name and signature[:4] == key.id:
                key.verify(signature[4:], text)
                signed += 1
        if signed == 0:
            raise ValueError("not signed by the key")


def included(h, index, size, hashes, expected):
    if index >= size:
        return False
    i, last, r = index, size - 1, h
    for p in hashes:
        if last == 0:
            return False
        if i % 2 == 1 or i == last:
            r = node(p, r)
            while i % 2 == 0 and i > 0:
                i, last = i // 2, last // 2
        else:
            r = node(r, p)
        i, last = i // 2, last // 2
    return last == 0 and r == expected


def consistent(m, q_root, n, r_root, hashes):
    if m == n:
        return not hashes and q_root == r_root
    if m & (m - 1) == 0:
        hashes = [q_root] + hashes
    if not hashes:
        return False
    i, last = m - 1, n - 1
    while i % 2 == 1:
        i, last = i // 2, last // 2
    q = r = hashes[0]
    for p in hashes[1:]:
        if last == 0:
            return False
        if i % 2 == 1 or i == last:
            q, r = node(p, q), node(p, r)
            while i % 2 == 0 and i > 0:
                i, last = i // 2, last // 2
        else:
            r = node(r, p)
        i, last = i // 2, last // 2
    return last == 0 and q == q_root and r == r_root


def require(holds, what):
    if not holds:
        sys.exit(f"does not hold: {what}")
    print(f"holds: {what}")


def read(path):
    with open(path, "rb") as file:
        return file.read()


def main():
    key_file, export, old_file, new_file, consistency, *proofs = sys.argv[1:]
    key = Key(read(key_file).decode())
    old, new = Checkpoint(read(old_file), key), Checkpoint(read(new_file), key)
    print("holds: both checkpoints are signed")
    lines = read(export).split(b"\n")[:-1]
    leaves = [leaf(line) for line in lines]
    require(root(leaves[:old.size]) == old.root, f"the root of {old.size} events")
    require(root(leaves[:new.size]) == new.root, f"the root of {new.size} events")
    answer = json.loads(read(consistency))
    require((answer["from"], answer["to"]) == (old.size, new.size), "the sizes of the trees")
    hashes = [unbase64(text) for text in answer["hashes"]]
    require(consistent(old.size, old.root, new.size, new.root, hashes), "the trees' consistency")
    for path in proofs:
        head, note = read(path).split(b"\n\n", 1)
        magic, extra, index, *encoded = head.decode().split("\n")
        require(magic == "c2sp.org/tlog-proof@v1", f"the form of {path}")
        line = unbase64(extra.removeprefix("extra "))
        index = int(index.removeprefix("index "))
        checkpoint = Checkpoint(note, key)
        hashes = [unbase64(text) for text in encoded]
        require(included(leaf(line), index, checkpoint.size, hashes, checkpoint.root),
                f"the proof of index {index}")
        require(json.loads(line)["position"] == index + 1 and lines[index] == line,
                f"the line of index {index}")


main()
