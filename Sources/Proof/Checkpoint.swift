/// A signed statement of a log's size and root, after C2SP's `tlog-checkpoint`: a note whose text is
///
///     origin
///     size
///     BASE64(root)
///
/// and perhaps further lines, which mean nothing here.
package struct Checkpoint: Sendable, Equatable {
    /// The name of the log, which is the name of its key.
    package let origin: String
    package let size: Int64
    package let root: Digest
    package let note: SignedNote

    /// Reads a checkpoint; whether its signatures are good is another question.
    package init(_ bytes: [UInt8]) throws(NoteError) {
        note = try SignedNote(bytes)
        let lines = NoteText.lines(String(decoding: note.text, as: UTF8.self))
        guard lines.count >= 3, lines.allSatisfy({ !$0.isEmpty }),
            let size = NoteText.number(lines[1]),
            let root = NoteText.base64(lines[2]).flatMap({ Digest($0) })
        else {
            throw NoteError(
                "This is no checkpoint: its lines are the log's name, a size, and a root as base64."
            )
        }
        origin = String(lines[0])
        self.size = size
        self.root = root
    }

    /// Signs a tree.
    package init(size: Int64, root: Digest, signedWith key: SigningKey) throws(NoteError) {
        origin = key.verifierKey.name
        self.size = size
        self.root = root
        note = try SignedNote(signing: "\(origin)\n\(size)\n\(root.base64)\n", with: key)
    }

    package var bytes: [UInt8] { note.bytes }

    /// Refuses the checkpoint unless it is one of the log with this key, signed by it.
    package func verify(_ key: VerifierKey) throws(NoteError) {
        guard origin.utf8.elementsEqual(key.name.utf8) else {
            throw NoteError("The checkpoint is one of log \(origin), not of \(key.name).")
        }
        try note.verify(key)
    }
}
