import Domain
import Proof

/// A checkpoint that the log must still extend.
package struct KeptCheckpoint: Sendable {
    package var checkpoint: Checkpoint
    /// Where it was found, for whoever reads that it does not fit.
    package var place: String

    package init(_ checkpoint: Checkpoint, place: String) {
        self.checkpoint = checkpoint
        self.place = place
    }
}

/// Walks the log's events in order and holds them against every hash that was kept of them: the
/// tiles' leaves and roots, the head's frontier, and checkpoints.
///
/// Each leaf is compared with the one kept for its position, so a change is named where it is, also
/// where events are missing. What is wrong about a range alone, as its root is, is only told where no
/// event in the range explains it.
struct TreeCheck {
    private(set) var findings = LogFindings()
    /// Over the events up to the head; a missing one is a leaf of zeroes.
    private(set) var tree = MerkleFrontier()
    /// Events read.
    private(set) var count: Int64 = 0
    /// Kept checkpoints that the events do not give, none of their own fault.
    private(set) var contradicted: [KeptCheckpoint] = []
    /// Kept checkpoints of more events than the head has.
    private(set) var tooLarge: [KeptCheckpoint] = []
    /// The size of the largest kept checkpoint that the events do give.
    private(set) var confirmedSize: Int64 = 0

    private let head: Head
    /// By size, the largest first.
    private var checkpoints: [KeptCheckpoint]
    private var tiles = TreeTiles()
    private var completed: [TreeTile] = []
    private var recordedAt = Int64.min
    /// The position that comes next.
    private var due: Int64 = 1
    private var missingFrom: Int64?
    /// Of the present step, and of the open tile.
    private var missing: Set<Int64> = []
    /// Tiles of level 1, and the open one behind them, with events that are named.
    private var namedTiles: Set<UInt64> = []
    /// Those of them with events that are not the ones recorded, by a hash that was kept.
    private var changedTiles: Set<UInt64> = []

    private static let placeholder = Digest([UInt8](repeating: 0, count: 32))

    init(head: Head, checkpoints: [KeptCheckpoint]) {
        self.head = head
        self.checkpoints = checkpoints.sorted { $0.checkpoint.size > $1.checkpoint.size }
        compareCheckpoints()
    }

    // MARK: Events

    mutating func add(_ event: LineHasher.Hashed) {
        count += 1
        let position = event.position
        guard position > 0 else { return find(position, "an event in front of the first") }
        guard position <= head.position else {
            return find(
                position, "an event behind the last: the head is at position \(head.position)")
        }
        skip(to: position)
        tellMissing(before: position)
        if event.recordedAt < recordedAt {
            find(
                position,
                "recorded at \(Timestamp(microseconds: event.recordedAt)), before the event in "
                    + "front of it (\(Timestamp(microseconds: recordedAt)))")
        }
        recordedAt = event.recordedAt
        append(event.leaf)
    }

    private mutating func append(_ leaf: Digest) {
        due += 1
        tiles.append(leaf, to: &tree, completed: &completed)
        compareCheckpoints()
    }

    /// Puts placeholders for the positions before one.
    private mutating func skip(to position: Int64) {
        guard due < position, let placeholder = Self.placeholder else { return }
        missingFrom = missingFrom ?? due
        while due < position {
            missing.insert(due)
            append(placeholder)
        }
    }

    private mutating func tellMissing(before position: Int64) {
        guard let first = missingFrom else { return }
        missingFrom = nil
        let last = position - 1
        // Each tile that lacks an event knows why.
        for tile in Self.tile(first)...Self.tile(last) { nameChanged(tile) }
        find(
            first,
            first == last
                ? "the event is missing" : "the events from here to \(last) are missing")
    }

    private mutating func nameChanged(_ tile: UInt64) {
        namedTiles.insert(tile)
        changedTiles.insert(tile)
    }

    private mutating func findChanged(_ position: Int64) {
        nameChanged(Self.tile(position))
        findings.add(position, "the event is not the one that was recorded")
    }

    private mutating func find(_ position: Int64?, _ text: String) {
        if let position, position > 0 { namedTiles.insert(Self.tile(position)) }
        findings.add(position, text)
    }

    /// Finds something about the log that a query has told.
    mutating func find(_ found: LogFindings) {
        for finding in found.first { find(finding.position, finding.text) }
    }

    private static func tile(_ position: Int64) -> UInt64 { UInt64(position - 1) >> 8 }

    // MARK: Tiles

    /// Ends a step of whole tiles, whose rows are given; and those of the levels above.
    mutating func endStep(through last: Int64, _ kept: [TreeTile]) {
        skip(to: min(last, head.position) + 1)
        for position in missing { nameChanged(Self.tile(position)) }
        var rows: [UInt64: [TreeTile]] = [:]
        for tile in kept { rows[UInt64(tile.level), default: []].append(tile) }
        let byIndex = rows.mapValues { Dictionary($0.map { ($0.index, $0) }) { first, _ in first } }
        for tile in completed {
            guard let row = byIndex[UInt64(tile.level)]?[tile.index] else {
                findings.add(nil, "\(tile) is missing")
                continue
            }
            if tile.level == 1 { compare(tile, with: row) } else { compareRoot(tile, with: row) }
        }
        completed.removeAll(keepingCapacity: true)
        // What is missing in the open tile is asked for once more, at the end.
        missing = missing.filter { Self.tile($0) == UInt64(head.position) >> 8 }
    }

    private mutating func compare(_ tile: TreeTile, with row: TreeTile) {
        guard let leaves = tile.leaves, let kept = row.leaves else { return }
        var differs = false
        for (offset, (leaf, keptLeaf)) in zip(leaves, kept).enumerated() where leaf != keptLeaf {
            differs = true
            let position = Int64(tile.index) * 256 + Int64(offset) + 1
            if !missing.contains(position) { findChanged(position) }
        }
        if !differs { return compareRoot(tile, with: row) }
        var own = MerkleFrontier()
        for leaf in kept { own.append(leaf) }
        if own.root != row.root {
            findings.add(nil, "\(row) is damaged: its root is not that of its leaves")
        }
    }

    private mutating func compareRoot(_ tile: TreeTile, with row: TreeTile) {
        guard tile.root != row.root else { return }
        if isNamed(tile.positions) { return }
        findings.add(
            nil,
            "\(row) is damaged, or an event in it was changed with its leaf: its root is not that "
                + "of what is below it")
    }

    private func isNamed(_ positions: ClosedRange<Int64>) -> Bool {
        Self.meet(namedTiles, positions)
    }

    private static func meet(_ tiles: Set<UInt64>, _ positions: ClosedRange<Int64>) -> Bool {
        let range = tile(positions.lowerBound)...tile(positions.upperBound)
        return tiles.contains { range.contains($0) }
    }

    // MARK: The end

    /// Compares what is behind the last tile with the leaves kept with the last checkpoint, and the
    /// whole with the head.
    mutating func finish(_ stored: StoredCheckpoint?, hasTiles: Bool) {
        let named = missing
        skip(to: head.position + 1)
        if let first = missingFrom {
            missingFrom = nil
            for tile in Self.tile(first)...Self.tile(head.position) { nameChanged(tile) }
            find(
                first,
                (first == head.position
                    ? "the event is missing"
                    : "the events from here to \(head.position) are missing")
                    + ": the head is at position \(head.position)")
        } else if recordedAt != head.recordedAt.microseconds, head.position > 0 {
            find(
                head.position,
                "recorded at \(Timestamp(microseconds: recordedAt)), by the head at "
                    + "\(head.recordedAt)")
        }
        let wrong = wrongRanges()
        if let stored { compareOpenTile(stored, wrong, named) }
        for range in wrong where !isNamed(range) {
            let isTiled = hasTiles && range.upperBound <= head.position - head.position % 256
            findings.add(
                nil,
                isTiled
                    ? "the head row was changed: its hash over positions \(range.lowerBound) to "
                        + "\(range.upperBound) is not that of their tiles"
                    : LogCheck.foreign(UInt64(range.lowerBound), UInt64(range.upperBound)))
        }
        for kept in checkpoints { findTooLarge(kept) }
        tooLarge = checkpoints
    }

    /// The positions under the roots of the head's frontier that the events do not give.
    private func wrongRanges() -> [ClosedRange<Int64>] {
        var ranges: [ClosedRange<Int64>] = []
        var first: Int64 = 1
        for (index, (found, kept)) in zip(tree.roots, head.frontier.roots).enumerated() {
            let size = Int64(tree.subtreeSize(index))
            if found != kept { ranges.append(first...first + size - 1) }
            first += size
        }
        return ranges
    }

    private mutating func compareOpenTile(
        _ stored: StoredCheckpoint, _ wrong: [ClosedRange<Int64>], _ missing: Set<Int64>
    ) {
        guard stored.size <= head.position, stored.size >> 8 == head.position >> 8 else { return }
        let base = stored.size - Int64(stored.leaves.count)
        for (offset, (leaf, kept)) in zip(tiles.leaves, stored.leaves).enumerated()
        where leaf != kept {
            let position = base + Int64(offset) + 1
            if wrong.contains(where: { $0.contains(position) }) {
                if !missing.contains(position) { findChanged(position) }
            } else {
                findings.add(
                    nil,
                    "ledger.checkpoint was changed: it keeps another hash of position "
                        + "\(position) than the event and the head have")
            }
        }
    }

    // MARK: Checkpoints

    /// Compares the tree with those checkpoints that are of its size.
    private mutating func compareCheckpoints() {
        while let kept = checkpoints.last, kept.checkpoint.size == Int64(tree.size) {
            checkpoints.removeLast()
            if kept.checkpoint.root == tree.root {
                confirmedSize = kept.checkpoint.size
            } else {
                contradicted.append(kept)
            }
        }
    }

    private mutating func findTooLarge(_ kept: KeptCheckpoint) {
        let size = kept.checkpoint.size
        findings.add(
            head.position + 1,
            "\(kept.place) covers \(size) events, and the log has only \(head.position): those from "
                + "here to \(size) are missing")
    }

    /// Whether an event that a checkpoint covers was found to be changed by hashes that were kept.
    func explains(_ kept: KeptCheckpoint) -> Bool {
        kept.checkpoint.size > 0 && Self.meet(changedTiles, 1...kept.checkpoint.size)
    }
}

extension TreeTile: CustomStringConvertible {
    /// The positions of its events.
    var positions: ClosedRange<Int64> {
        let width = Int64(1) << Int64(8 * level)
        return Int64(index) * width + 1...(Int64(index) + 1) * width
    }

    package var description: String {
        "the tile of positions \(positions.lowerBound) to \(positions.upperBound) (level \(level), index "
            + "\(index))"
    }
}
