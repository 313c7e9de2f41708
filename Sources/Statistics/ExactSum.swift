/// A sum of numbers that never rounds, so that taking a number out again leaves no trace.
///
/// The sum is Σ lanes[i] · 2^(32 · (lowest + i)), with lanes that are wider than their 32 bits and
/// so take many additions before anything has to be carried (R. Neal, "Fast exact summation using
/// small and large superaccumulators", 2015). Only the lanes that numbers have touched are stored.
///
/// Invariant: every lane is less than `load` · 2^32 in magnitude.
struct ExactSum: Sendable {
    /// Additions after which lanes are carried; 2^31 would overflow them.
    private static let loadMax: Int64 = 1 << 30

    private var lowest = 0
    private var lanes: [Int64] = []
    private var load: Int64 = 0

    init() {}

    init(_ value: FixedPoint) {
        lowest = value.lowest
        lanes = value.limbs.map { value.negative ? -Int64($0) : Int64($0) }
        load = value.limbs.isEmpty ? 0 : 1
    }

    var value: FixedPoint { FixedPoint(lowest: lowest, lanes: lanes) }

    /// Adds or subtracts significand · 2^exponent; the significand has at most 106 bits.
    @inline(__always)
    mutating func add(_ significand: UInt128, exponent: Int, negative: Bool) {
        if load >= Self.loadMax { self = ExactSum(value) }
        let first = exponent >> 5
        let shift = UInt128(truncatingIfNeeded: exponent & 31)
        let width = 128 - significand.leadingZeroBitCount + (exponent & 31)
        cover(first, first + (width + 31) >> 5)
        let sign: Int64 = negative ? -1 : 0
        var rest = significand
        var piece = UInt32(truncatingIfNeeded: rest &<< shift)
        rest = rest &>> (32 &- shift)
        var index = first - lowest
        lanes[index] &+= (Int64(piece) ^ sign) &- sign
        while rest != 0 {
            piece = UInt32(truncatingIfNeeded: rest)
            rest = rest &>> 32
            index += 1
            lanes[index] &+= (Int64(piece) ^ sign) &- sign
        }
        load += 1
    }

    mutating func merge(_ other: ExactSum) {
        if other.lanes.isEmpty { return }
        var other = other
        if load + other.load > Self.loadMax {
            self = ExactSum(value)
            other = ExactSum(other.value)
            if other.lanes.isEmpty { return }
        }
        cover(other.lowest, other.lowest + other.lanes.count)
        for (index, lane) in other.lanes.enumerated() {
            lanes[other.lowest - lowest + index] += lane
        }
        load += other.load
    }

    /// Makes room for the lanes with these weights.
    @inline(__always)
    private mutating func cover(_ first: Int, _ end: Int) {
        if first < lowest || end > lowest + lanes.count || lanes.isEmpty { grow(first, end) }
    }

    @inline(never)
    private mutating func grow(_ first: Int, _ end: Int) {
        if lanes.isEmpty { lowest = first }
        if first < lowest {
            lanes.insert(contentsOf: repeatElement(0, count: lowest - first), at: 0)
            lowest = first
        }
        let missing = end - lowest - lanes.count
        if missing > 0 { lanes.append(contentsOf: repeatElement(0, count: missing)) }
    }
}
