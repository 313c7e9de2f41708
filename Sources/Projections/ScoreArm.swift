import Statistics

/// Numbers of units: their exact sums, and a sketch of their quantiles.
///
/// Both are the same whatever the order in which numbers came and went, so that a rebuild can be
/// compared with what was kept up to date.
package struct ScoreDistribution: Sendable, Equatable {
    package private(set) var moments = Moments()
    package private(set) var sketch = QuantileSketch()

    package init() {}

    package mutating func add(_ value: Double) {
        moments.add(value)
        sketch.add(value)
    }

    /// As many times the same number.
    init(repeating value: Double, count: Int) {
        var power = ScoreDistribution()
        power.add(value)
        var rest = count
        while rest > 0 {
            if rest & 1 == 1 { merge(power) }
            power.merge(power)
            rest >>= 1
        }
    }

    mutating func remove(_ value: Double) {
        moments.remove(value)
        sketch.remove(value)
    }

    mutating func merge(_ other: ScoreDistribution) {
        moments.merge(other.moments)
        sketch.merge(other.sketch)
    }

    fileprivate func encode(to bytes: inout [UInt8]) {
        for part in [moments.encoded, sketch.encoded] {
            withUnsafeBytes(of: UInt32(part.count).bigEndian) { bytes.append(contentsOf: $0) }
            bytes += part
        }
    }

    fileprivate init?(_ bytes: inout ArraySlice<UInt8>) {
        guard let moments = bytes.popPart().flatMap({ Moments(encoded: $0) }),
            let sketch = bytes.popPart().flatMap({ QuantileSketch(encoded: $0) })
        else { return nil }
        self.moments = moments
        self.sketch = sketch
    }
}

extension ArraySlice<UInt8> {
    /// Takes bytes off the front that their number in four bytes precedes.
    fileprivate mutating func popPart() -> [UInt8]? {
        guard count >= 4 else { return nil }
        let length = prefix(4).reduce(0) { $0 << 8 | Int($1) }
        guard count >= 4 + length else { return nil }
        defer { self = dropFirst(4 + length) }
        return Array(dropFirst(4).prefix(length))
    }
}

/// A row of `score_arms`.
struct ScoreArm: Sendable {
    private(set) var units: Int64 = 0
    private(set) var scores: Int64 = 0
    private(set) var booleans: Int64 = 0
    /// Units with one score count the same, however scores are aggregated.
    private var single = ScoreDistribution()
    /// Units with more, for each aggregation.
    private var multiple: [ScoreDistribution] = []

    init() {}

    /// Counts a unit in, or out.
    mutating func add(_ unit: UnitScores) {
        count(unit, 1)
        if unit.scores == 1 { return single.add(unit.latest) }
        if multiple.isEmpty {
            multiple = ScoreAggregation.allCases.map { _ in ScoreDistribution() }
        }
        for (index, aggregation) in ScoreAggregation.allCases.enumerated() {
            multiple[index].add(unit.value(aggregation))
        }
    }

    mutating func remove(_ unit: UnitScores) {
        count(unit, -1)
        if unit.scores == 1 { return single.remove(unit.latest) }
        for (index, aggregation) in ScoreAggregation.allCases.enumerated() {
            multiple[index].remove(unit.value(aggregation))
        }
        if multiple[0].moments.count == 0 { multiple = [] }
    }

    private mutating func count(_ unit: UnitScores, _ sign: Int64) {
        units += sign
        scores += sign * unit.scores
    }

    mutating func countBooleans(_ number: Int64) { booleans += number }

    /// All units together.
    func distribution(_ aggregation: ScoreAggregation) -> ScoreDistribution {
        var all = single
        if aggregation == .count {
            all = ScoreDistribution(repeating: 1, count: single.moments.count)
        }
        if let index = ScoreAggregation.allCases.firstIndex(of: aggregation), !multiple.isEmpty {
            all.merge(multiple[index])
        }
        return all
    }

    // MARK: Rows

    init?(units: Int64, scores: Int64, booleans: Int64, single: [UInt8], multiple: [UInt8]) {
        self.units = units
        self.scores = scores
        self.booleans = booleans
        var rest = single[...]
        guard let distribution = ScoreDistribution(&rest) else { return nil }
        self.single = distribution
        rest = multiple[...]
        while !rest.isEmpty {
            guard let distribution = ScoreDistribution(&rest) else { return nil }
            self.multiple.append(distribution)
        }
        guard self.multiple.isEmpty || self.multiple.count == ScoreAggregation.allCases.count
        else { return nil }
    }

    var encodedSingle: [UInt8] {
        var bytes: [UInt8] = []
        single.encode(to: &bytes)
        return bytes
    }

    var encodedMultiple: [UInt8] {
        var bytes: [UInt8] = []
        for distribution in multiple { distribution.encode(to: &bytes) }
        return bytes
    }
}
