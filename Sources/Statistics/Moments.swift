/// Count, mean and spread of numbers that come, go and are replaced.
///
/// Count, sum and sum of squares are kept exactly. So nothing is lost over millions of changes, a
/// number that is removed leaves no trace, and the state, encoded too, depends on the numbers alone
/// and not on the order in which they came. Rounding happens once, where a figure is read.
package struct Moments: Sendable {
    package private(set) var count = 0
    private var sum = ExactSum()
    private var squares = ExactSum()

    package init() {}

    package init(_ values: some Sequence<Double>) {
        for value in values { add(value) }
    }

    /// Adds a finite number.
    package mutating func add(_ value: Double) {
        count += 1
        include(value, removed: false)
    }

    /// Removes a number that was added before.
    package mutating func remove(_ value: Double) {
        precondition(count > 0, "Only a number that was added can be removed.")
        count -= 1
        include(value, removed: true)
    }

    /// Adds all numbers of the other.
    package mutating func merge(_ other: Moments) {
        count += other.count
        sum.merge(other.sum)
        squares.merge(other.squares)
    }

    private mutating func include(_ value: Double, removed: Bool) {
        precondition(value.isFinite, "Only finite numbers have a mean.")
        let bits = value.bitPattern
        let fraction = bits & (1 << 52 - 1)
        let field = Int(truncatingIfNeeded: bits >> 52 & 0x7FF)
        let whole = field == 0 ? fraction : fraction | 1 << 52
        if whole == 0 { return }
        let zeros = whole.trailingZeroBitCount
        let significand = UInt128(truncatingIfNeeded: whole &>> UInt64(zeros))
        let exponent = max(field, 1) - 1_075 + zeros
        sum.add(significand, exponent: exponent, negative: (value < 0) != removed)
        squares.add(significand &* significand, exponent: 2 * exponent, negative: removed)
    }

    /// The mean; 0 of nothing.
    package var mean: Double { count == 0 ? 0 : sum.value.divided(by: Double(count)) }

    /// Σ(x − mean)², from the exact n Σx² − (Σx)²; infinite where a `Double` can't hold it.
    package var squaredDeviations: Double {
        count == 0 ? 0 : scaledDeviations.divided(by: Double(count))
    }

    /// The unbiased variance, with n − 1; nil for fewer than two numbers.
    package var variance: Double? { count < 2 ? nil : squaredDeviations / Double(count - 1) }

    package var standardDeviation: Double? { variance?.squareRoot() }

    /// Whether the numbers are proportions of units, as booleans are: Σx² = Σx.
    package var isProportion: Bool { count > 0 && sum.value == squares.value }

    /// n Σx² − (Σx)².
    private var scaledDeviations: FixedPoint {
        let total = sum.value
        return FixedPoint(UInt64(count)) * squares.value - total * total
    }
}

extension Moments: Equatable {
    package static func == (left: Moments, right: Moments) -> Bool {
        left.count == right.count && left.sum.value == right.sum.value
            && left.squares.value == right.squares.value
    }
}

// MARK: Encoding

/// The format's version in one byte, the count, Σx and Σx². A sum is its number of limbs, twice, plus
/// one where it is negative; then, unless it has no limbs, the weight of its lowest limb and the
/// limbs, lowest first, with four bytes each.
extension Moments {
    private static let version: UInt8 = 1
    private static let sumLimbsMax = 80
    private static let squaresLimbsMax = 160
    private static let lowestMin = -70
    private static let lowestMax = 70

    /// The same bytes for the same numbers, whatever their order.
    package var encoded: [UInt8] {
        var bytes = [Self.version]
        bytes.append(varint: UInt64(count))
        for value in [sum.value, squares.value] {
            bytes.append(varint: UInt64(value.limbs.count) << 1 | (value.negative ? 1 : 0))
            if value.limbs.isEmpty { continue }
            bytes.append(zigzag: value.lowest)
            for limb in value.limbs {
                for shift in stride(from: UInt32(0), to: 32, by: 8) {
                    bytes.append(UInt8(truncatingIfNeeded: limb >> shift))
                }
            }
        }
        return bytes
    }

    /// Reads what `encoded` wrote; nil for anything else.
    package init?(encoded: [UInt8]) {
        var reader = ByteReader(encoded)
        guard reader.byte() == Self.version, let count = reader.varint(),
            let sum = Self.read(&reader, limbsMax: Self.sumLimbsMax),
            let squares = Self.read(&reader, limbsMax: Self.squaresLimbsMax),
            reader.isAtEnd, count <= UInt64(Int.max), count > 0 || squares == .zero
        else { return nil }
        self.count = Int(count)
        self.sum = ExactSum(sum)
        self.squares = ExactSum(squares)
        if scaledDeviations.negative || squares.negative { return nil }
    }

    private static func read(_ reader: inout ByteReader, limbsMax: Int) -> FixedPoint? {
        guard let head = reader.varint(), head >> 1 <= limbsMax else { return nil }
        if head == 0 { return .zero }
        guard let lowest = reader.zigzag(), lowestMin...lowestMax ~= lowest else { return nil }
        var limbs: [UInt32] = []
        for _ in 0..<head >> 1 {
            guard let limb = reader.uint32() else { return nil }
            limbs.append(limb)
        }
        let value = FixedPoint(negative: head & 1 == 1, lowest: lowest, limbs: limbs)
        return value.limbs.count == limbs.count && !limbs.isEmpty ? value : nil
    }
}
