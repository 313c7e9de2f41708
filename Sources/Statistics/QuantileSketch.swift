/// Quantiles of numbers that come and go, each within a relative error, in bounded space.
///
/// A number is counted in a bucket whose width grows with its magnitude, as in DDSketch (C. Masson,
/// J. Rim, H. Lee, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error
/// guarantees", 2019), with the logarithm interpolated linearly within each power of two: a
/// bucket's key is the number's exponent and the first six bits of its fraction, rounded. Buckets
/// are never joined, so adding, removing and merging in any order lead to the same buckets.
///
/// - Every number comes back within `relativeErrorMax` of itself. Whole numbers up to 128, halves
///   up to 64, and so on, and so the 0 and 1 of booleans, come back exactly.
/// - Magnitudes are kept apart from 2^−128 to 2^128, the range of a 32-bit float. Smaller ones
///   count as 0, larger ones as 2^128.
/// - There are at most `bucketsMax` buckets; numbers that span a factor of 1 000 fill some 640.
package struct QuantileSketch: Sendable, Equatable {
    package static let relativeErrorMax = 0x1p-7
    package static let bucketsMax = 2 * Int(keyMax) + 1

    /// Bits of a `Double` that a bucket ignores: all of the fraction but six.
    private static let ignoredBits: UInt64 = 46
    private static let magnitudeMax: UInt64 = (1_023 + 128) << 6
    private static let keysBelow: UInt64 = (1_023 - 128) << 6 - 1
    static let keyMax = Int32(magnitudeMax - keysBelow)

    package private(set) var count = 0
    /// The keys of the buckets that count something, ascending, and what each of them counts.
    private(set) var keys: [Int32] = []
    private(set) var counts: [Int] = []

    package init() {}

    package init(_ values: some Sequence<Double>) {
        for value in values { add(value) }
    }

    init(count: Int, keys: [Int32], counts: [Int]) {
        self.count = count
        self.keys = keys
        self.counts = counts
    }

    /// Adds a finite number.
    package mutating func add(_ value: Double) {
        precondition(value.isFinite, "Only finite numbers have quantiles.")
        change(Self.key(value), by: 1)
    }

    /// Removes a number that was added before.
    package mutating func remove(_ value: Double) {
        let key = Self.key(value)
        let index = position(of: key)
        precondition(
            index < keys.count && keys[index] == key,
            "Only a number that was added can be removed.")
        counts[index] -= 1
        count -= 1
        if counts[index] == 0 {
            keys.remove(at: index)
            counts.remove(at: index)
        }
    }

    /// Adds all numbers of the other.
    package mutating func merge(_ other: QuantileSketch) {
        if keys.isEmpty {
            self = other
            return
        }
        for (key, count) in zip(other.keys, other.counts) { change(key, by: count) }
    }

    // MARK: Figures

    /// The smallest number that at least this share of all numbers does not exceed, within the
    /// relative error; nil of nothing.
    ///
    /// PostgreSQL's `percentile_disc` picks the same number: no value is made up between two.
    package func quantile(_ share: Double) -> Double? {
        precondition(0...1 ~= share, "A quantile's share is in 0 to 1.")
        if count == 0 { return nil }
        let rank = max(1, Int((share * Double(count)).rounded(.up)))
        var passed = 0
        var index = 0
        while index < counts.count - 1 {
            passed += counts[index]
            if passed >= rank { break }
            index += 1
        }
        return Self.representative(keys[index])
    }

    package var bucketCount: Int { keys.count }

    // MARK: Buckets

    /// The bucket of a number: 0 for zero, ascending with the number.
    @inline(__always)
    static func key(_ value: Double) -> Int32 {
        let half: UInt64 = 1 << (ignoredBits - 1)
        let rounded = (value.magnitude.bitPattern + half) >> ignoredBits
        let clamped = min(max(rounded, keysBelow), magnitudeMax)
        let key = Int32(truncatingIfNeeded: clamped - keysBelow)
        return value < 0 ? -key : key
    }

    /// The number in the middle of a bucket.
    static func representative(_ key: Int32) -> Double {
        if key == 0 { return 0 }
        let magnitude = Double(bitPattern: (UInt64(key.magnitude) + keysBelow) << ignoredBits)
        return key < 0 ? -magnitude : magnitude
    }

    private mutating func change(_ key: Int32, by change: Int) {
        let index = position(of: key)
        if index < keys.count && keys[index] == key {
            counts[index] += change
        } else {
            keys.insert(key, at: index)
            counts.insert(change, at: index)
        }
        count += change
    }

    /// The index of the first key that is not less.
    private func position(of key: Int32) -> Int {
        var low = 0
        var high = keys.count
        while low < high {
            let middle = (low &+ high) >> 1
            if keys[middle] < key { low = middle &+ 1 } else { high = middle }
        }
        return low
    }
}
