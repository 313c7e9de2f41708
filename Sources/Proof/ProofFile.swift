/// A proof that an event is in a log, all in one text after C2SP's `tlog-proof`:
///
///     c2sp.org/tlog-proof@v1
///     extra BASE64(line)
///     index INDEX
///     BASE64(hash), from the leaf's sibling to the root's child
///     (an empty line)
///     the checkpoint
///
/// The index is the event's position less one; the line is its exact bytes without a line break.
package struct ProofFile: Sendable, Equatable {
    package var line: [UInt8]
    package var index: Int64
    package var hashes: [Digest]
    package var checkpoint: Checkpoint

    private static let head = "c2sp.org/tlog-proof@v1"
    private static let bytesMax = 128 << 20

    package init(line: [UInt8], index: Int64, hashes: [Digest], checkpoint: Checkpoint) {
        self.line = line
        self.index = index
        self.hashes = hashes
        self.checkpoint = checkpoint
    }

    /// Whether bytes begin as a proof does.
    package static func isBegun(by bytes: [UInt8]) -> Bool { bytes.starts(with: head.utf8) }

    /// Reads a proof; whether it proves anything is another question.
    package init(_ bytes: [UInt8]) throws(NoteError) {
        guard bytes.count <= Self.bytesMax,
            let blank = bytes.indices.dropFirst().first(where: {
                bytes[$0] == NoteText.newline && bytes[$0 - 1] == NoteText.newline
            }), let head = NoteText.text(bytes[..<blank])
        else { throw Self.malformed }
        var lines = NoteText.lines(head)[...]
        guard let first = lines.popFirst(), first.utf8.elementsEqual(Self.head.utf8),
            let line = lines.popFirst().flatMap({ Self.value("extra", $0) })
                .flatMap({ NoteText.base64($0) }),
            let index = lines.popFirst().flatMap({ Self.value("index", $0) })
                .flatMap({ NoteText.number($0) })
        else { throw Self.malformed }
        let hashes = lines.compactMap { NoteText.base64($0).flatMap { Digest($0) } }
        guard hashes.count == lines.count, hashes.count <= 64 else { throw Self.malformed }
        self.init(
            line: line, index: index, hashes: hashes,
            checkpoint: try Checkpoint(Array(bytes[(blank + 1)...])))
    }

    private static let malformed = NoteError(
        "This is no proof: it begins with \(head), the event's line and its index, as `ledger proof` "
            + "writes it.")

    private static func value(_ name: String, _ line: Substring) -> Substring? {
        line.utf8.starts(with: "\(name) ".utf8) ? line.dropFirst(name.count + 1) : nil
    }

    package var bytes: [UInt8] {
        var text = "\(Self.head)\nextra \(NoteText.base64(line))\nindex \(index)\n"
        for hash in hashes { text += "\(hash.base64)\n" }
        return Array("\(text)\n".utf8) + checkpoint.bytes
    }

    /// Refuses the proof unless it proves that the line is in the log with this key.
    package func verify(_ key: VerifierKey) throws(NoteError) {
        try checkpoint.verify(key)
        guard index < checkpoint.size else {
            throw NoteError(
                "The proof names index \(index), and the checkpoint's log has \(checkpoint.size) "
                    + "events.")
        }
        let isIncluded = MerkleProof.verifyInclusion(
            of: MerkleFrontier.leaf(line), at: UInt64(index), size: UInt64(checkpoint.size),
            hashes: hashes, root: checkpoint.root)
        guard isIncluded else {
            throw NoteError(
                "The hashes do not lead from the line to the checkpoint's root: the line, the index "
                    + "or a hash was changed.")
        }
    }
}
