import Statistics

/// A number for each of many units: exact as long as they are few, a sketch when they are many.
package struct UnitNumbers: Sendable {
    package private(set) var distribution = ScoreDistribution()
    /// All numbers; nil where they are too many to keep, or were never known one by one.
    private var numbers: [Double]? = []

    /// Beyond it quantiles are read off the sketch.
    private static let numbersMax = 100_000

    package init() {}

    init(_ distribution: ScoreDistribution) {
        self.distribution = distribution
        numbers = nil
    }

    mutating func add(_ number: Double) {
        distribution.add(number)
        guard let count = numbers?.count else { return }
        if count < Self.numbersMax { numbers?.append(number) } else { numbers = nil }
    }

    mutating func merge(_ other: UnitNumbers) {
        distribution.merge(other.distribution)
        guard let mine = numbers, let theirs = other.numbers,
            mine.count + theirs.count <= Self.numbersMax
        else {
            numbers = nil
            return
        }
        numbers = mine + theirs
    }

    package var moments: Moments { distribution.moments }

    package var count: Int { moments.count }

    /// How far a quantile may be off, in shares of itself.
    package var quantileError: Double {
        numbers == nil ? QuantileSketch.relativeErrorMax : 0
    }

    /// For each share of units, the smallest number that this share does not exceed: for 0 the
    /// least, for 1 the greatest. PostgreSQL's `percentile_disc` picks the same.
    package func quantiles(_ shares: [Double]) -> [Double?] {
        guard let sorted = numbers?.sorted() else {
            return shares.map { distribution.sketch.quantile($0) }
        }
        return shares.map { share in
            if sorted.isEmpty { return nil }
            let rank = max(1, Int((share * Double(sorted.count)).rounded(.up)))
            return sorted[min(rank, sorted.count) - 1]
        }
    }
}
