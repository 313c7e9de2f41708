/// A set of log positions that has everything up to one of them, and some ranges above.
///
/// Ranges are disjoint, ascending and not adjacent, so what is nearly in order stays small.
package struct PositionRanges: Sendable, Equatable {
    /// Everything up to here is in the set.
    package private(set) var through: Int64
    /// What is in it beyond that.
    package private(set) var above: [ClosedRange<Int64>] = []

    package init(through: Int64) { self.through = through }

    package init(through: Int64, above: [ClosedRange<Int64>]) {
        self.through = through
        for range in above { insert(range) }
    }

    package func contains(_ position: Int64) -> Bool {
        if position <= through { return true }
        let index = firstIndex(reaching: position)
        return index < above.count && above[index].contains(position)
    }

    package mutating func insert(_ position: Int64) { insert(position...position) }

    package mutating func insert(_ range: ClosedRange<Int64>) {
        guard range.upperBound > through else { return }
        // Ranges that touch the new one, or are next to it, become part of it.
        let first = firstIndex(reaching: range.lowerBound - 1)
        var end = first
        var merged = range
        while end < above.count, above[end].lowerBound <= range.upperBound + 1 {
            merged =
                min(
                    merged.lowerBound, above[end].lowerBound)...max(
                    merged.upperBound, above[end].upperBound)
            end += 1
        }
        if merged.lowerBound <= through + 1 {
            through = merged.upperBound
            above.removeSubrange(..<end)
        } else {
            above.replaceSubrange(first..<end, with: CollectionOfOne(merged))
        }
    }

    /// The first range that ends at a position or after it.
    private func firstIndex(reaching position: Int64) -> Int {
        // What is new is nearly always at the end.
        guard let last = above.last, last.upperBound >= position else { return above.count }
        var low = 0
        var high = above.count - 1
        while low < high {
            let middle = (low + high) / 2
            if above[middle].upperBound < position { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

extension PositionRanges {
    /// The ranges above as a text, `7-9,12-12`, the first `max` of them.
    package func text(rangesMax: Int) -> String {
        above.prefix(rangesMax).map { "\($0.lowerBound)-\($0.upperBound)" }.joined(separator: ",")
    }

    /// Reads what ``text(rangesMax:)`` wrote; nil for anything else.
    package init?(through: Int64, text: String) {
        self.init(through: through)
        for part in text.split(separator: ",") {
            let ends = part.split(separator: "-").map { Int64($0) }
            guard ends.count == 2, let low = ends[0], let high = ends[1], low <= high else {
                return nil
            }
            insert(low...high)
        }
    }
}
