/// Why a follower can go on no more: what its source sends is not the log that it began to follow.
package struct Divergence: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Kind: String, Sendable {
        /// A line is not in its exact form, or PostgreSQL can't hold it.
        case malformedLine = "malformed-line"
        /// A line has another position than the one that is due.
        case wrongPosition = "wrong-position"
        /// A line is older than the one in front of it.
        case wrongOrder = "wrong-order"
        /// The lines are not those under the signed tree.
        case otherLines = "other-lines"
        /// A signed tree does not extend one that was signed before.
        case fork
        /// The source's log ends before this one.
        case shrunken
        /// The checkpoint is not signed by the key that is trusted.
        case wrongKey = "wrong-key"
    }

    package var kind: Kind
    /// The first event that does not fit, where there is one.
    package var position: Int64?
    package var text: String

    package init(_ kind: Kind, at position: Int64? = nil, _ text: String) {
        self.kind = kind
        self.position = position
        self.text = text
    }

    package var description: String { position.map { "position \($0): \(text)" } ?? text }

    /// What to do about it.
    package var advice: String {
        switch kind {
        case .wrongKey:
            "Find out why the source has another key. If that is right, start again with --trust and "
                + "the new public key."
        case .fork, .shrunken:
            "The source has another history, or has lost events. Keep this database; `ledger follow "
                + "--from URL --diverged` shows what only it has. Follow the right source with an empty "
                + "database."
        case .malformedLine, .wrongPosition, .wrongOrder, .otherLines:
            "Something between this follower and the source changes what it sends, or the source was "
                + "tampered with (`ledger verify` there tells). Once that is mended start again with "
                + "--retry, or with an empty database if it is refused."
        }
    }
}
