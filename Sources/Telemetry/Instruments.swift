import Synchronization

/// A number that only grows, until the process ends.
package final class Counter: Sendable {
    private let count = Atomic<Int>(0)

    /// What was counted up to now.
    package var value: Int { count.load(ordering: .relaxed) }

    /// Counts `amount` more, which is not negative.
    package func increment(by amount: Int = 1) {
        precondition(amount >= 0, "a counter can't go down")
        count.wrappingAdd(amount, ordering: .relaxed)
    }
}

/// A number that goes up and down.
package final class Gauge: Sendable {
    private let bits = Atomic<UInt64>(0)

    /// The number last set.
    package var value: Double { Double(bitPattern: bits.load(ordering: .relaxed)) }

    /// Replaces the number.
    package func set(_ value: Double) {
        bits.store(value.bitPattern, ordering: .relaxed)
    }

    /// Replaces the number.
    package func set(_ value: Int) {
        set(Double(value))
    }

    /// Adds `amount`, which may be negative.
    package func add(_ amount: Double) {
        var old = bits.load(ordering: .relaxed)
        while true {
            let new = (Double(bitPattern: old) + amount).bitPattern
            let (done, current) = bits.weakCompareExchange(
                expected: old, desired: new, ordering: .relaxed)
            if done { return }
            old = current
        }
    }
}

/// How many observations fell under each of a fixed row of bounds, their sum and their number.
package final class Histogram: Sendable {
    /// A histogram as it stood at one moment; `counts` has one number for each bucket by itself,
    /// the last one for what is over every bound.
    struct Snapshot {
        var counts: [Int]
        var sum = 0.0
    }

    let bounds: [Double]
    // A lock rather than an atomic for each bucket: sum and counts then always agree.
    private let state: Mutex<Snapshot>

    init(bounds: [Double]) {
        precondition(
            zip(bounds, bounds.dropFirst()).allSatisfy(<) && bounds.allSatisfy(\.isFinite),
            "bounds must be finite and rise")
        self.bounds = bounds
        state = Mutex(Snapshot(counts: Array(repeating: 0, count: bounds.count + 1)))
    }

    var snapshot: Snapshot { state.withLock { $0 } }

    /// How many observations there were.
    package var count: Int { snapshot.counts.reduce(0, +) }

    /// Their sum.
    package var sum: Double { snapshot.sum }

    /// Adds one observation; NaN is left out, since it would spoil the sum for ever.
    package func observe(_ value: Double) {
        guard !value.isNaN else { return }
        var bucket = 0
        while bucket < bounds.count, value > bounds[bucket] {
            bucket += 1
        }
        state.withLock {
            $0.counts[bucket] += 1
            $0.sum += value
        }
    }

    /// Adds one observation of a number of things.
    package func observe(_ value: Int) {
        observe(Double(value))
    }

    /// Adds one observation in seconds.
    package func observe(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        observe(Double(seconds) + Double(attoseconds) * 1e-18)
    }
}
