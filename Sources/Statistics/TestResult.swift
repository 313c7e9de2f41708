/// The share of comparisons without a difference in which one is seen all the same.
package struct SignificanceLevel: Sendable, Equatable {
    package static let standard = SignificanceLevel(checked: 0.05)

    package let alpha: Double

    /// Takes what lies between 0 and 1.
    package init?(_ alpha: Double) {
        guard 0 < alpha, alpha < 1 else { return nil }
        self.init(checked: alpha)
    }

    private init(checked alpha: Double) {
        self.alpha = alpha
    }

    /// What the interval is said to hold the truth with, as in "95 %".
    package var confidenceText: String { "\(shortText((1 - alpha) * 100)) %" }
}

/// How two means are compared.
package enum Scale: String, Sendable {
    /// By their difference.
    case absolute
    /// By their difference in shares of the control's mean.
    case relative
}

package enum TestMethod: String, Sendable {
    /// Right when looked at once, at a moment that the data did not choose.
    case welch
    /// Right however often it is looked at.
    case alwaysValid = "always valid"
}

package struct Interval: Sendable, Equatable {
    package let low: Double
    package let high: Double

    package init(low: Double, high: Double) {
        self.low = low
        self.high = high
    }

    package func contains(_ value: Double) -> Bool { low <= value && value <= high }
}

/// What a test says of the treatment against the control.
package struct TestResult: Sendable, Equatable {
    /// The absolute and the relative test can disagree, so a result says which it is.
    package let method: TestMethod
    package let scale: Scale
    package let level: SignificanceLevel
    package let estimate: Double
    package let standardError: Double
    package let interval: Interval
    package let p: Double
}

/// Why there is no result; `p` is 1 then, and there is no interval.
package enum NoResult: String, Error, Sendable, CaseIterable {
    /// The control's mean is zero, so that nothing is a share of it.
    case noBaseline = "no baseline"
    /// All numbers of an arm are the same.
    case noVariance = "no variance"
    /// An arm has fewer than two units.
    case tooFewUnits = "too few units"
    /// The numbers are too large or too small to compute with.
    case outOfRange = "out of range"

    package var text: String { rawValue }
    package var p: Double { 1 }
}

package typealias TestOutcome = Result<TestResult, NoResult>

extension TestOutcome {
    package var p: Double {
        switch self {
        case .success(let result): result.p
        case .failure(let reason): reason.p
        }
    }

    package var interval: Interval? { try? get().interval }
}
