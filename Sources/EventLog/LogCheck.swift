import Domain

/// Progress of work on the whole log: events done, of how many; nil where that is not known.
package typealias LogProgress = @Sendable (_ done: Int, _ total: Int?) -> Void

/// Something about the log that can't be.
package struct LogFinding: Sendable, Equatable, CustomStringConvertible {
    /// The event it is about, if it is about one.
    package var position: Int64?
    package var text: String

    package var description: String { position.map { "position \($0): \(text)" } ?? text }
}

/// The first things that are wrong, and how many there are.
package struct LogFindings: Sendable {
    /// Those about events, and those about the log as a whole.
    private var aboutEvents: [LogFinding] = []
    private var others: [LogFinding] = []
    package private(set) var count = 0

    static let kept = 100

    /// Those about events first, in their order.
    package var first: [LogFinding] {
        aboutEvents.sorted { ($0.position ?? 0) < ($1.position ?? 0) } + others
    }

    mutating func add(_ position: Int64?, _ text: String) {
        count += 1
        let finding = LogFinding(position: position, text: text)
        if position == nil {
            if others.count < Self.kept { others.append(finding) }
        } else if aboutEvents.count < Self.kept {
            aboutEvents.append(finding)
        }
    }
}

/// Walks the log's events in order: computes the tree and checks what one pass can.
///
/// What needs memory for every stream, the versions, is left to a query.
struct LogCheck {
    private(set) var tree = MerkleFrontier()
    private(set) var findings = LogFindings()
    private(set) var recordedAt = Timestamp(microseconds: .min)
    private var position: Int64 = 0

    /// Takes the next event; its line is what is hashed.
    mutating func add(_ event: StoredEvent, line: [UInt8]) {
        if event.position == position + 2 {
            find(position + 1, "the event is missing")
        } else if event.position > position + 1 {
            find(position + 1, "the events from here to \(event.position - 1) are missing")
        }
        if event.recordedAt < recordedAt {
            find(
                event.position,
                "recorded at \(event.recordedAt), before the event in front of it (\(recordedAt))")
        }
        position = event.position
        recordedAt = event.recordedAt
        tree.append(MerkleFrontier.leaf(line))
    }

    private mutating func find(_ position: Int64?, _ text: String) { findings.add(position, text) }

    /// Compares what the events gave with the head row.
    mutating func compare(with head: Head) {
        if position != head.position {
            find(nil, "the head is at position \(head.position), the last event at \(position)")
        } else if recordedAt != head.recordedAt, position > 0 {
            find(position, "recorded at \(recordedAt), by the head at \(head.recordedAt)")
        }
        guard tree != head.frontier, tree.size == head.frontier.size else { return }
        // Each subtree that the head keeps covers a range of positions.
        var first: UInt64 = 1
        for (index, (found, kept)) in zip(tree.roots, head.frontier.roots).enumerated() {
            let size = tree.subtreeSize(index)
            if found != kept {
                find(nil, Self.foreign(first, first + size - 1))
            }
            first += size
        }
    }
}

extension LogCheck {
    /// What a subtree says whose hash is not the head's.
    static func foreign(_ first: UInt64, _ last: UInt64) -> String {
        "among positions \(first) to \(last) is an event that is not the one recorded: the tree's hash "
            + "over them differs from the head's"
    }
}

extension MerkleFrontier {
    /// The leaves under one of ``roots``: the one bits of the size, largest first.
    func subtreeSize(_ index: Int) -> UInt64 {
        var rest = size
        for _ in 0..<index { rest &= ~(1 << UInt64(63 - rest.leadingZeroBitCount)) }
        return 1 << UInt64(63 - rest.leadingZeroBitCount)
    }
}
